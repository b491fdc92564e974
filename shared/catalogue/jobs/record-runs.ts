import type { RunEnded } from '../../contracts/messages/run.ts'
import type { Warning } from '../../contracts/warnings.ts'
import type { Database, Query } from '../database.ts'
import { rows } from '../parameters.ts'
import {
  keyedVerdicts,
  masterKey,
  readMade,
  readWarnings,
  recordAssets,
  recordMasters,
} from '../tracks/asset-table.ts'
import { recordNames } from '../tracks/name-table.ts'
import { acceptJobs } from './accept-jobs.ts'
import {
  ended,
  type JobRow,
  type JobState,
  type JobVerdict,
  judged,
  revisionOf,
  stateOf,
  wantedAssets,
} from './job-row.ts'
import { announcementOf, claimJobs, lockJobs, updateJobs } from './job-table.ts'

/** A job that is complete and has not been announced as it stands. */
export interface Announcement {
  /** The same on every copy. */
  readonly id: string
  readonly job: string
  readonly run: number
  readonly route: string
  /** The job as it was asked for, with all the assets that were ever asked for. */
  readonly request: RunEnded['request']
  readonly accepted: string
  readonly state: Extract<JobState, 'done' | 'partial' | 'failed'>
  /** Of the master that was read last; null when none could be. */
  readonly revision: string | null
  /** What is missing or wrong in that master. */
  readonly warnings: readonly Warning[]
  /** The wanted assets, sorted. */
  readonly assets: readonly string[]
  /** A verdict for each of them. */
  readonly verdicts: Readonly<Record<string, JobVerdict>>
  /** Somebody else is announcing it right now: leave it, and come again. */
  readonly claimed: boolean
}

/** What `markAnnounced` wants to know of an announcement. */
export type Announced = Pick<Announcement, 'id' | 'job'>

/** What a commit has added. */
interface Recorded {
  /** What has to be announced now. */
  readonly due: readonly Announcement[]
  /** Assets of which a row says only now that they are made. */
  readonly made: readonly string[]
  /** Assets on which a job has only now the verdict that they have failed. */
  readonly failed: readonly string[]
}

/**
 * Records ended runs, all or none, and returns what has to be announced now. Until `markAnnounced`
 * it is returned again whenever one of these runs is recorded again; the first who gets it has claimed it for a
 * quarter of a minute, and for the others it is `claimed`.
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
    // Acceptance could not record these. It is done apart, as the locks must be taken in one go.
    await acceptJobs(
      database,
      runs.filter(({ job }) => !outcome.has(job)),
      signal,
    )
  }
}

/**
 * Records that these were announced, so that they are not again. A job that was opened again since
 * is left alone: what it announces next is something else.
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

// Tables are written in one order by everyone: job (locked), master, track, asset, track_name.
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
    after.set(run.job, ended(row, run))
  }
  // Warnings too: a copy of a run that had nothing to decode may have come first.
  const warned = runs.filter((run) => !news.includes(run) && run.master?.warnings?.length)
  await recordMasters(query, [...news, ...warned])
  const made = await recordAssets(query, news)
  // Of all: a job that is posted again may say another name, and nothing else that is new.
  await recordNames(query, runs)
  await mend(query, after, news)
  await updateJobs(
    query,
    [...after.values()].filter((row) => row !== before.get(row.job)?.row),
  )
  const due = [...after.values()].flatMap((row) => {
    const { announcement, announced, claimed = false } = before.get(row.job) ?? {}
    const id = announcementOf(row)
    if (id === null || (id === announcement && announced)) return []
    return [announcementFor(row, id, id === announcement && claimed)]
  })
  // What has just become complete was claimed by the update itself.
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
  return { due: await withWarnings(query, due), made, failed }
}

async function withWarnings(
  query: Query,
  due: readonly Omit<Announcement, 'warnings'>[],
): Promise<Announcement[]> {
  const masters = due.flatMap(({ request, revision }) =>
    revision === null ? [] : [{ track: request.asset_guid, revision }],
  )
  const known = await readWarnings(query, masters)
  return due.map((each) => {
    const key = masterKey(each.request.asset_guid, each.revision ?? '')
    return { ...each, warnings: known.get(key) ?? [] }
  })
}

function newlyFailed({ verdicts }: JobRow, before: JobRow['verdicts'] = new Map()): string[] {
  return [...verdicts]
    .filter(([asset, verdict]) => verdict.state === 'failed' && verdict !== before.get(asset))
    .map(([asset]) => asset)
}

/** Whether the row has all that this message says already. */
function isKnown(row: JobRow, { run, master, request, verdicts }: RunEnded): boolean {
  if (run > row.run || request.derivative_assets.some((asset) => !row.wanted.has(asset)))
    return false
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

/** What one job failed to make another may have made: then it is there, and the verdict says so. */
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
  for (const { track, asset, revision, version, files, result } of made)
    for (const { key, run } of failed) {
      const row = jobs.get(run.job)
      if (row === undefined || key.track !== track || key.asset !== asset) continue
      if (key.revision !== revision || key.version !== version) continue
      const verdict = { state: 'made' as const, version, files, revision }
      const { run: number, accepted } = run
      const whole = { ...verdict, ...(result === undefined ? {} : { result }) }
      jobs.set(run.job, judged(row, asset, { ...whole, run: number, accepted }))
    }
}

function announcementFor(
  row: JobRow,
  id: string,
  claimed: boolean,
): Omit<Announcement, 'warnings'> {
  const { job, run, route, request, accepted } = row
  const assets = wantedAssets(row)
  const verdicts = Object.fromEntries(
    [...row.verdicts].filter(([asset]) => row.wanted.has(asset)),
  )
  return {
    ...{ id, job, run, route, accepted, assets, verdicts, claimed },
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
    )
    update job set announced_at = now(), watched_since = null, claimed_until = null
    from locked join announced using (id)
    where job.id = locked.id and job.announcement = announced.announcement
      and job.announced_at is null`,
}
