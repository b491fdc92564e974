import type { RunEnded } from '../../contracts/messages/run.ts'
import type { Warning } from '../../contracts/warnings.ts'
import type { Database, Query } from '../database.ts'
import { addToMinute, countMinute } from '../minute-counts.ts'
import { rows } from '../parameters.ts'
import {
  keyedVerdicts,
  masterKey,
  readMade,
  readWarnings,
  recordAssets,
  recordMasters,
} from '../tracks/asset-table.ts'
import { recordTracks } from '../tracks/track-table.ts'
import { acceptJobs } from './accept-jobs.ts'
import {
  type JobRow,
  type JobVerdict,
  revisionOf,
  stateOf,
  type WholeVerdict,
  wantedAssets,
  withAcceptance,
  withRunEnded,
  withVerdict,
} from './job-row.ts'
import { announcementOf, claimJobs, lockJobs, updateJobs } from './job-table.ts'
import { wholeVerdicts } from './whole-verdicts.ts'

/** A job that is complete and has not been announced in this state. */
export interface Announcement {
  /** The id, the same on every copy. */
  readonly id: string
  readonly job: string
  readonly run: number
  readonly route: string
  /** The request of the job, with all assets that were ever requested. */
  readonly request: RunEnded['request']
  readonly accepted: string
  readonly state: 'done' | 'partial' | 'failed'
  /** The revision of the master that was read last; null if none could be read. */
  readonly revision: string | null
  /** The warnings about that master. */
  readonly warnings: readonly Warning[]
  /** The requested assets, sorted. */
  readonly assets: readonly string[]
  /** A verdict for each of them. */
  readonly verdicts: Readonly<Record<string, WholeVerdict>>
  /** Whether another process may be announcing it right now. If so, leave it and retry later. */
  readonly claimed: boolean
}

/** An announcement before what is kept elsewhere has been read. */
type Bare = Omit<Announcement, 'warnings' | 'verdicts'> & {
  readonly verdicts: Readonly<Record<string, JobVerdict>>
}

/** The parts of an announcement that `markAnnounced` needs. */
type Announced = Pick<Announcement, 'id' | 'job'>

/** What a commit has added. */
interface Recorded {
  /** The announcements that are due. */
  readonly due: readonly Announcement[]
  /** The assets that were recorded as made for the first time. */
  readonly made: readonly string[]
  /** The assets whose verdict `failed` was recorded for the first time. */
  readonly failed: readonly string[]
}

/**
 * Records runs that have ended, all or none, and returns the announcements that are due. What a cancelled job made
 * nevertheless is recorded, and not announced. Until `markAnnounced` they are
 * returned again whenever one of these runs is recorded again. The first caller that gets one holds a claim on it for
 * 15 s; for others it is `claimed`.
 */
export async function recordRuns(
  database: Database,
  runs: readonly RunEnded[],
  signal?: AbortSignal,
): Promise<Recorded> {
  if (runs.length === 0) return { due: [], made: [], failed: [] }
  const jobs = new Set(runs.map(({ job }) => job))
  for (;;) {
    const outcome = await database.transaction(async (query) => {
      const locked = await lockJobs(query, jobs)
      return locked.size < jobs.size ? locked : await recorded(query, locked, runs)
    }, signal)
    if (!(outcome instanceof Map)) return outcome
    // These jobs were not recorded when they were accepted. Recorded separately, since all locks must be taken at once.
    await acceptJobs(
      database,
      runs.filter(({ job }) => !outcome.has(job)),
      signal,
    )
  }
}

/**
 * Records that announcements have been published, so that they are not published again. A job that has been opened
 * again since is left alone, because its next announcement is a different one.
 */
export async function markAnnounced(
  database: Database,
  announced: readonly Announced[],
  signal?: AbortSignal,
): Promise<void> {
  if (announced.length === 0) return
  const marks = announced.map(({ id, job }) => ({ id: job, announcement: id }))
  await database.query(MARK, [rows(marks)], signal)
}

// All code writes the tables in one order: job (locked), master, track, asset, the list, counts.
async function recorded(
  query: Query,
  before: Awaited<ReturnType<typeof lockJobs>>,
  runs: readonly RunEnded[],
): Promise<Recorded> {
  const after = new Map([...before].map(([job, { row }]) => [job, row]))
  const news: RunEnded[] = []
  for (const run of runs) {
    const row = after.get(run.job)
    if (row === undefined || isKnown(row, run)) continue
    news.push(run)
    after.set(run.job, withRunEnded(row, run))
  }
  // Runs with warnings are included, because a copy of the run that had nothing to decode may have come first.
  const warned = runs.filter((run) => !news.includes(run) && run.master?.warnings?.length)
  await recordMasters(query, [...news, ...warned])
  // Names of all runs: a job that is posted again may have another name and nothing else that is new.
  const changed = await recordTracks(query, [...news, ...warned], runs)
  const made = await recordAssets(query, news)
  await mend(query, after, news)
  // A job that stays as it is is written again when its track has another name: that is how lists come to know.
  await updateJobs(
    query,
    [...after.values()].filter(
      (row) => row !== before.get(row.job)?.row || changed.has(row.request.asset_guid),
    ),
  )
  const due = [...after.values()].flatMap((row) => {
    const { announcement, announced, claimed = false } = before.get(row.job) ?? {}
    const id = announcementOf(row)
    if (id === null || (id === announcement && announced)) return []
    return [announcementFor(row, id, id === announcement && claimed)]
  })
  // Jobs that have just become complete were claimed by the update itself.
  const late = due.filter(
    ({ id, job, claimed }) => !claimed && id === before.get(job)?.announcement,
  )
  await claimJobs(
    query,
    late.map(({ job }) => job),
  )
  const failed = [...after.values()].flatMap((row) =>
    newlyFailed(row, before.get(row.job)?.row.verdicts),
  )
  await countMinute(query, made.length, failed.length)
  return { due: await whole(query, due), made, failed }
}

/** Adds what the catalogue keeps with the master and with the assets. */
async function whole(query: Query, due: readonly Bare[]): Promise<Announcement[]> {
  const masters = due.flatMap(({ request, revision }) =>
    revision === null ? [] : [{ track: request.asset_guid, revision }],
  )
  const known = await readWarnings(query, masters)
  const verdicts = await wholeVerdicts(
    query,
    due.map((each) => ({ track: each.request.asset_guid, verdicts: each.verdicts })),
  )
  return due.map((each, index) => {
    const key = masterKey(each.request.asset_guid, each.revision ?? '')
    return { ...each, verdicts: verdicts[index] ?? {}, warnings: known.get(key) ?? [] }
  })
}

function newlyFailed({ verdicts }: JobRow, before: JobRow['verdicts'] = new Map()): string[] {
  return [...verdicts]
    .filter(([asset, verdict]) => verdict.state === 'failed' && verdict !== before.get(asset))
    .map(([asset]) => asset)
}

/** Whether the row already has everything in this message. */
function isKnown(row: JobRow, message: RunEnded): boolean {
  const { run, master, request, verdicts } = message
  if (run > row.run || request.derivative_assets.some((asset) => !row.wanted.has(asset)))
    return false
  // A cancelled job that was asked for again.
  if (withAcceptance(row, message) !== row) return false
  return Object.entries(verdicts).every(([asset, { state, version }]) => {
    const stored = row.verdicts.get(asset)
    return (
      stored !== undefined &&
      stored.run >= run &&
      stored.version === version &&
      stored.revision === (master?.revision ?? null) &&
      (stored.state === state || stored.state === 'made')
    )
  })
}

/** Corrects failed verdicts: an asset that one job failed to make may have been made by another. */
async function mend(
  query: Query,
  jobs: Map<string, JobRow>,
  runs: readonly RunEnded[],
): Promise<void> {
  const failed = runs.flatMap((run) =>
    keyedVerdicts(run)
      .filter(({ verdict }) => verdict.state === 'failed')
      .map(({ key }) => ({ key, run })),
  )
  const made = await readMade(
    query,
    failed.map(({ key }) => key),
  )
  for (const { track, asset, revision, version } of made)
    for (const { key, run } of failed) {
      const row = jobs.get(run.job)
      if (row === undefined || key.track !== track || key.asset !== asset) continue
      if (key.revision !== revision || key.version !== version) continue
      const verdict = { state: 'made' as const, version, revision }
      const { run: number, accepted } = run
      jobs.set(run.job, withVerdict(row, asset, { ...verdict, run: number, accepted }))
    }
}

function announcementFor(row: JobRow, id: string, claimed: boolean): Bare {
  const { job, run, route, request, accepted } = row
  const assets = wantedAssets(row)
  const verdicts = Object.fromEntries(
    [...row.verdicts].filter(([asset]) => row.wanted.has(asset)),
  )
  return {
    id,
    job,
    run,
    route,
    accepted,
    assets,
    verdicts,
    claimed,
    request: { ...request, derivative_assets: assets },
    state: stateOf(row) as Announcement['state'],
    revision: revisionOf(row),
  }
}

const MARK = {
  name: 'jobs-announced',
  text: `
    with announced as (
      select id, announcement from json_to_recordset($1) as r (id text, announcement text)
    ), locked as (
      select id from job where id in (select id from announced) order by id for update
    ), marked as (
      update job set announced_at = now(), claimed_until = null
      from locked join announced using (id)
      where job.id = locked.id and job.announcement = announced.announcement
        and job.announced_at is null
      returning job.id
    ), unwatched as (
      delete from watch where job in (select id from marked)
    )
    ${addToMinute('0', '0', '(select count(*) from marked)')}`,
}
