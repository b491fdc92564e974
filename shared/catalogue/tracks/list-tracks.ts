import type { TrackLine } from '../../contracts/api/track.ts'
import type { TrackNames } from '../../contracts/file-names.ts'
import { SAMPLE_RATE } from '../../contracts/pcm-format.ts'
import { atOnce, type Database, type Query } from '../database.ts'
import { cutPage, pageSize } from '../pages.ts'
import { NAMES } from './read-tracks.ts'
import {
  allAtOnce,
  MAX_SORTED,
  MAX_WALKED,
  type Parameter,
  type Search,
  searchFor,
  type TrackFilter,
} from './track-filter.ts'

/** A track as lists show it. */
export interface ListedTrack {
  readonly line: TrackLine
  /** When it changed last: `updated` of the line with full precision, µs since 1970. */
  readonly updatedUs: number
}

/** A list can be read to its end for so long, ms: where tracks stood before is forgotten after twice the time. */
export const LIST_MS = 24 * 3600_000
/** A transaction that began so long ago may still change tracks at a time before the first page, µs. */
const IN_FLIGHT_US = 60_000_000

/** The position at which a page of tracks ended. */
export interface TrackCursor {
  /**
   * The time of the first page, µs since 1970. Tracks that have changed since keep the place that they had then: this
   * holds for `LIST_MS`.
   */
  readonly asOfUs: number
  readonly placeUs: number
  readonly track: string
}

interface TrackPage {
  readonly tracks: readonly ListedTrack[]
  /** Absent on the last page. */
  readonly next?: TrackCursor
}

/**
 * Tracks, latest activity first. `limit`: 1 to 1,000. All pages together have each track that existed at the first page
 * exactly once, even if tracks change meanwhile.
 */
export async function listTracks(
  database: Database,
  filter: TrackFilter,
  { limit, after }: { readonly limit: number; readonly after?: TrackCursor | undefined },
  signal?: AbortSignal,
): Promise<TrackPage> {
  const size = pageSize(limit)
  const query = atOnce(database, signal)
  const search = await searchFor(query, filter, size)
  if (search === undefined) return { tracks: [] }
  const moved = after && (await movedSearch(query, search, after))
  const pageBy = (by: Search) => {
    const values: unknown[] = []
    const text = pageOf(by, after, moved, size + 1, (value) => `$${values.push(value)}`)
    return query<Columns>({ text }, values)
  }
  let found = await pageBy(search)
  // What is expected to be common may be rare among those that have the rest.
  if (found.length <= size && search.isLong) found = await pageBy(allAtOnce(search))
  const { page, last } = cutPage(found, size)
  const tracks = page.map(listed)
  if (last === undefined) return { tracks }
  const asOfUs = after?.asOfUs ?? Math.max(page[0]?.place_us ?? 0, last.read_us - IN_FLIGHT_US)
  return { tracks, next: { asOfUs, placeUs: last.place_us, track: last.asset_guid } }
}

/**
 * Tracks that changed after `sinceUs`, earliest change first. `sinceUs`: µs since 1970 by the database's clock.
 * Default: two seconds ago.
 */
export async function changedTracks(
  database: Database,
  sinceUs: number | undefined,
  limit: number,
  signal?: AbortSignal,
): Promise<readonly ListedTrack[]> {
  return (await database.query<Columns>(CHANGED, [sinceUs ?? null, limit], signal)).map(listed)
}

/** A track by its asset_guid, with the release that its latest job names; undefined if no job for it is known. */
export async function listedTrack(
  database: Database,
  assetGuid: string,
  signal?: AbortSignal,
): Promise<(ListedTrack & { readonly release: number | null }) | undefined> {
  if (assetGuid.includes('\0')) return undefined
  const found = await database.query<OneColumns>(ONE, [assetGuid], signal)
  return found.map(({ release, ...columns }) => ({ ...listed(columns), release }))[0]
}

type OneColumns = Columns & { readonly release: number | null }

/** The columns that a line has under the same names. Those that are null are left out of it. */
type Named = Omit<TrackLine, 'seconds' | 'title' | 'artist' | 'assets' | 'updated'>

type Columns = { readonly [Name in keyof Required<Named>]: TrackLine[Name] | null } & Required<
  TrackLine['assets']
> & {
    readonly asset_guid: string
    readonly place_us: number
    readonly read_us: number
    readonly updated_us: number
    readonly samples: number | null
    readonly names: TrackNames | null
  }

function listed(columns: Columns): ListedTrack {
  const {
    place_us: _,
    read_us: __,
    updated_us,
    samples,
    names,
    made,
    failed,
    pending,
    ...named
  } = columns
  const known = Object.entries(named).filter(([, value]) => value !== null)
  const seconds = samples === null ? {} : { seconds: rounded(samples / SAMPLE_RATE) }
  const line = {
    ...Object.fromEntries(known),
    ...names,
    ...seconds,
    assets: { made, failed, pending },
    updated: new Date(updated_us / 1000).toISOString(),
  }
  return { line: line as TrackLine, updatedUs: updated_us }
}

/** Seconds to a millisecond. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}

/** SQL for the µs since 1970 of an instant. A JavaScript Date would round away what decides the order. */
const us = (column: string) => `(extract(epoch from ${column}) * 1000000)::bigint`
/** SQL for the instant of a parameter in µs since 1970, without the rounding of a double. */
const at = (parameter: string) =>
  `(timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond')`

const COLUMNS = `asset_guid, ${us('updated_at')} as updated_us, request_id, state, samples, bpm,
  case when bpm is not null then bpm_confidence end as bpm_confidence, bpm_error, key,
  case when key is not null then key_confidence end as key_confidence, camelot,
  loudness as loudness_lufs, nullif(warnings, '{}') as warnings, failed, pending,
  (select array(select split_part(each, '@', 1) from unnest(made) each)
    from asset_set where id = found.assets) as made,
  (select ${NAMES} from track where track.asset_guid = found.asset_guid) as names,
  exists (select from dead_letter letter where letter.state = 'open' and letter.request is not null
    and letter.request ->> 'asset_guid' = found.asset_guid
    and letter.code <> 'REQUEST_CONFLICT') as dead_lettered`

/** SQL for a page of tracks with their `place`. What is shown of them is read for the tracks of the page alone. */
function pageOf(
  search: Search,
  after: TrackCursor | undefined,
  moved: Search | undefined,
  limit: number,
  parameter: Parameter,
): string {
  const tracks =
    after === undefined
      ? latest(search, 'true', limit, parameter)
      : laterTracks(search, after, moved, limit, parameter)
  return `
    select ${COLUMNS}, ${us('place')} as place_us, ${us('now()')} as read_us from (
      select * from (${tracks}) every
      order by place desc, asset_guid desc limit ${limit}
    ) found order by place desc, asset_guid desc`
}

const AT_ITS_TIME = 'select listed.updated_at as place, listed.* from'
const LATEST_FIRST = 'order by listed.updated_at desc, listed.asset_guid desc'

/** SQL for the latest tracks that match and for which a condition holds. */
function latest(
  search: Search,
  condition: string,
  limit: number,
  parameter: Parameter,
): string {
  const { fewest, isLong } = search
  const where = others(search, parameter)
  const page = `${LATEST_FIRST} limit ${limit}`
  if (fewest?.indexed)
    return `${AT_ITS_TIME} ${rowsOf(fewest, parameter)} listed where ${condition} and ${where} ${page}`
  const walk = (of: string) =>
    isLong
      ? `(select * from track_listing listed where ${of} ${LATEST_FIRST} limit ${MAX_WALKED}) listed where ${where} ${page}`
      : `track_listing listed where ${of} and ${where} ${page}`
  if (fewest?.few === undefined) return `${AT_ITS_TIME} ${walk(condition)}`
  return `
    ${AT_ITS_TIME} unnest(${fewest.few.values(parameter)}) value cross join lateral (
      select listed.* from ${walk(`${fewest.few.condition} and ${condition}`)}
    ) listed`
}

/** SQL for all rows that match a part. */
function rowsOf(part: NonNullable<Search['fewest']>, parameter: Parameter): string {
  return `(select listed.* from track_listing listed where ${part.where(parameter)} offset 0)`
}

/** SQL for tracks that have not changed since the first page, and for changed ones at the place that they had then. */
function laterTracks(
  search: Search,
  { asOfUs, placeUs, track }: TrackCursor,
  moved: Search | undefined,
  limit: number,
  parameter: Parameter,
): string {
  const [asOf, place] = [at(parameter(asOfUs)), at(parameter(placeUs))]
  const from = `(${place}, ${parameter(track)})`
  const unchanged = `listed.updated_at <= ${asOf} and (listed.updated_at, listed.asset_guid) < ${from}`
  const changed = moved
    ? `select * from (
        select (select max(each) from unnest(earlier) each where each <= ${asOf}) as place, listed.*
        from (${changedOf(moved, asOf, parameter)}) listed where ${others(moved, parameter)}
      ) moved where (place, asset_guid) < ${from}`
    : movedTracks(search, { asOf, from }, limit, parameter)
  return `
    (${latest(search, unchanged, limit, parameter)})
    union all
    select * from (${changed}) moved`
}

/** How to find those that have changed since the first page by looking at all; undefined if they are too many. */
async function movedSearch(
  query: Query,
  search: Search,
  { asOfUs }: TrackCursor,
): Promise<Search | undefined> {
  if (search.fewest?.indexed) return search
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const changed = changedOf(search, at(parameter(asOfUs)), parameter)
  const text = `select count(*) as count from (select from (${changed}) listed limit ${MAX_SORTED + 1}) found`
  const [found] = await query<{ count: number }>({ text }, values)
  if ((found?.count ?? 0) <= MAX_SORTED) return search
  return search.some && { ...search, fewest: search.some }
}

/** SQL for the tracks that have changed since `asOf`, of those that have what fewest have. */
function changedOf({ fewest }: Search, asOf: string, parameter: Parameter): string {
  const changed = `listed.updated_at > ${asOf}`
  if (fewest?.indexed)
    return `select * from ${rowsOf(fewest, parameter)} listed where ${changed}`
  if (fewest?.few === undefined) return `select * from track_listing listed where ${changed}`
  // In this order and no other: the database would rather read all that has changed.
  return `
    select listed.* from unnest(${fewest.few.values(parameter)}) value cross join lateral (
      select * from track_listing listed where ${fewest.few.condition} and ${changed}
      ${LATEST_FIRST} offset 0) listed`
}

/** SQL of all conditions but that of what fewest have. */
function others({ parts, fewest }: Search, parameter: Parameter): string {
  return [
    'true',
    ...parts.filter((part) => part !== fewest).map((part) => part.where(parameter)),
  ].join(' and ')
}

/** SQL for tracks that have changed since `asOf`, at the places that they had then, from a place on. */
function movedTracks(
  search: Search,
  { asOf, from }: { readonly asOf: string; readonly from: string },
  limit: number,
  parameter: Parameter,
): string {
  const mine = search.fewest === undefined ? 'true' : search.fewest.where(parameter)
  const where = others(search, parameter)
  // How long a track stood at a place says how far back those can be that stood there at that time.
  return `
    select listed.* from generate_series(0, ${LONGEST_CLASS}) class cross join lateral (
      select moved.place, listed.* from track_place moved
      join track_listing listed on listed.asset_guid = moved.asset_guid
      where place_class(moved.place, moved.until) = class and moved.until > ${asOf} and moved.place <= ${asOf}
        and moved.place > ${asOf} - make_interval(secs => 2 ^ ((class + 1) / 2::double precision))
        and (moved.place, moved.asset_guid) < ${from} and ${mine} and ${where}
      order by moved.place desc, moved.asset_guid desc limit ${limit}
    ) listed`
}

/** More than a hundred years. */
const LONGEST_CLASS = 64

const CHANGED = {
  name: 'tracks-changed',
  text: `
    select ${COLUMNS}, 0 as place_us, 0 as read_us from track_listing found where updated_at > coalesce(${at('$1')}, now() - interval '2 seconds')
    order by updated_at, asset_guid limit $2`,
}

const ONE = {
  name: 'track-listed',
  text: `
    select ${COLUMNS}, 0 as place_us, 0 as read_us,
      (select (request ->> 'release_id')::bigint from job where id = found.job) as release
    from track_listing found where asset_guid = $1`,
}
