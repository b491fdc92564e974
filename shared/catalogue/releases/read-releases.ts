import { TRACK_STATES } from '../../contracts/api/track.ts'
import type { Database, Query } from '../database.ts'
import { cutPage, pageSize } from '../pages.ts'

/** The state of a track in a release, and of a release. */
type ReleaseState = (typeof TRACK_STATES)[number]

/** What has become of the tracks that jobs have named a release of. */
export interface ReleaseStatus {
  readonly release: number
  readonly state: ReleaseState
  /** How many tracks are in which state. */
  readonly counts: Readonly<Record<ReleaseState, number>>
  /** Whether it has more jobs than `MAX_OF_RELEASE`: the rest is not counted then. */
  readonly isMore: boolean
  readonly firstSeen: Date
  /** When a job of it was added, or came to another state. */
  readonly changed: Date
}

/** A track of a release, by the latest of its jobs that name the release. */
interface ReleaseTrack {
  readonly asset_guid: string
  readonly title: string | null
  readonly artist: string | null
  readonly state: ReleaseState
  readonly request_id: string
}

/** The place of a release in the list. */
export interface ReleasePlace {
  readonly changed: Date
  readonly release: number
}

/** The most jobs of a release that are counted. */
export const MAX_OF_RELEASE = 10_000
/** How many releases a page looks at for those of a state, and how many at once. */
const MAX_LOOKED_AT = 2_000
const BATCH_RELEASES = 500

/** A release; undefined when no job has named it. */
export async function findRelease(
  database: Database,
  release: number,
  signal?: AbortSignal,
): Promise<ReleaseStatus | undefined> {
  return (await database.query<Columns>(FIND, [release], signal)).map(status)[0]
}

/** What has become of some releases, in the transaction of `query`. */
export async function statusOfReleases(
  query: Query,
  releases: readonly number[],
): Promise<readonly ReleaseStatus[]> {
  return (await query<Columns>(OF, [releases])).map(status)
}

/**
 * Releases behind `after`, those that changed last first. `limit`: 1 to 1,000. A page of those in one state may be short,
 * or empty, before the last one: it looks at 2,000 releases at most.
 */
export async function listReleases(
  database: Database,
  {
    limit,
    state,
    after,
  }: {
    readonly limit: number
    readonly state?: ReleaseState | undefined
    readonly after?: ReleasePlace | undefined
  },
  signal?: AbortSignal,
): Promise<{ readonly releases: readonly ReleaseStatus[]; readonly next?: ReleasePlace }> {
  const size = pageSize(limit)
  const atOnce = state === undefined ? size + 1 : BATCH_RELEASES
  const releases: ReleaseStatus[] = []
  let last = after
  for (let lookedAt = 0; lookedAt < MAX_LOOKED_AT; lookedAt += atOnce) {
    const place = [last?.changed ?? 'infinity', last?.release ?? 0]
    const found = await database.query<Columns>(LIST, [...place, atOnce], signal)
    for (const each of found.map(status)) {
      const isWanted = state === undefined || each.state === state
      if (isWanted && releases.length === size) return { releases, ...behind(releases.at(-1)) }
      if (isWanted) releases.push(each)
      last = each
    }
    if (found.length < atOnce) return { releases }
  }
  return { releases, ...behind(last) }
}

/** The tracks of a release in the order of their guids, after the track `after`. `limit`: 1 to 1,000. */
export async function releaseTracks(
  database: Database,
  release: number,
  { limit, after = '' }: { readonly limit: number; readonly after?: string | undefined },
  signal?: AbortSignal,
): Promise<{ readonly tracks: readonly ReleaseTrack[]; readonly next?: string }> {
  const size = pageSize(limit)
  const found = await database.query<ReleaseTrack>(TRACKS, [release, after, size + 1], signal)
  const { page, last } = cutPage(found, size)
  return { tracks: page, ...(last === undefined ? {} : { next: last.asset_guid }) }
}

type Counts = Readonly<Record<ReleaseState, number>>

interface Columns {
  readonly release: number
  readonly counts: Counts
  readonly jobs: number
  readonly firstSeen: Date
  readonly changed: Date
}

function status({ jobs, ...columns }: Columns): ReleaseStatus {
  return { ...columns, state: stateOf(columns.counts), isMore: jobs > MAX_OF_RELEASE }
}

/** What still runs counts first, then whether all tracks are of one kind. */
function stateOf(counts: Counts): ReleaseState {
  const { running, done, partial, failed, cancelled } = counts
  const all = running + done + partial + failed + cancelled
  if (running > 0) return 'running'
  if (done === all) return 'done'
  if (cancelled === all) return 'cancelled'
  return done + partial === 0 ? 'failed' : 'partial'
}

function behind(last: ReleasePlace | undefined): { readonly next?: ReleasePlace } {
  if (last === undefined) return {}
  return { next: { changed: last.changed, release: last.release } }
}

// The jobs are looked up by their keys one by one, in all of these: a table that is being filled has no statistics.
const JOB = `cross join lateral (
      select id, request_id, accepted_at, coalesce(outcome_of(state, ended_at, dead_lettered_run, run), 'running') as state
      from job where id = member.job offset 0
    ) job`
/** Of several jobs over one track: the one that was asked for last. */
const LATEST_FIRST = 'job.accepted_at desc, job.id desc'

const MEMBERS = `select asset_guid, job from release_job where release_id = release.release_id
        order by asset_guid, job limit`

const COUNTS = `
  select json_build_object(${TRACK_STATES.map((state) => `'${state}', count(*) filter (where state = '${state}')`).join(', ')})
  from (
    select distinct on (member.asset_guid) job.state
    from (${MEMBERS} ${MAX_OF_RELEASE}) member
    ${JOB}
    order by member.asset_guid, ${LATEST_FIRST}
  ) track`

const SELECT = `
  select release_id as release, (${COUNTS}) as counts,
    (select count(*)::int from (${MEMBERS} ${MAX_OF_RELEASE + 1}) member) as jobs,
    first_seen as "firstSeen", changed
  from release`

const FIND = { name: 'release-find', text: `${SELECT} where release_id = $1` }

const OF = { name: 'releases-of', text: `${SELECT} where release_id = any ($1::bigint[])` }

const LIST = {
  name: 'releases-list',
  text: `${SELECT} where (changed, release_id) < ($1, $2::bigint)
    order by changed desc, release_id desc limit $3`,
}

const TRACKS = {
  name: 'release-tracks',
  text: `
    select guid.asset_guid, nullif(track.title, '') as title, nullif(track.artist, '') as artist,
      latest.state, latest.request_id
    from (
      select distinct asset_guid from release_job where release_id = $1 and asset_guid > $2
      order by asset_guid limit $3
    ) guid
    cross join lateral (
      select job.state, job.request_id from release_job member ${JOB}
      where member.release_id = $1 and member.asset_guid = guid.asset_guid
      order by ${LATEST_FIRST} limit 1
    ) latest
    left join lateral (
      select title, artist from track where track.asset_guid = guid.asset_guid offset 0
    ) track on true
    order by guid.asset_guid`,
}
