import type { JobState } from '../../contracts/api/job.ts'
import type { RunAccepted } from '../../contracts/messages/run.ts'
import { canonicalRequestId } from '../../contracts/names.ts'
import { MAKING_STAGES } from '../../contracts/stages.ts'
import { mergedWarnings, type Warning } from '../../contracts/warnings.ts'
import { atOnce, type Database } from '../database.ts'
import type { JobVerdict, WholeVerdict } from './job-row.ts'
import { type JobText, requestOf, verdictsOf } from './job-text.ts'
import { wholeVerdicts } from './whole-verdicts.ts'

/** The current state of a job. */
export interface JobStatus {
  readonly job: string
  readonly requestId: string
  readonly track: string
  /** The highest known run. */
  readonly run: number
  readonly route: string
  /** The request of the highest run. `assets` has everything that was ever requested. */
  readonly request: RunAccepted['request']
  readonly state: JobState
  /** The revision of the master that was read last; null before one was. */
  readonly revision: string | null
  /** The warnings about that master. */
  readonly warnings: readonly Warning[]
  readonly accepted: Date
  readonly ended: Date | null
  readonly announced: Date | null
  /** Whether the message of the highest run became a dead letter, so that it never reaches `publish`. */
  readonly setAside: boolean
  /** Whether a dead letter about the job is open. Failed assets stay failed until an operator acts. */
  readonly deadLettered: boolean
  /** Null if the job has ended. */
  readonly progress: Progress | null
  /** The verdict on every requested asset; null while it is missing. */
  readonly assets: Readonly<Record<string, WholeVerdict | null>>
}

/** The progress of a job that has not ended: what its run is planned to make, and what has been made. */
export interface Progress {
  /** Whether a step has begun to work on it. */
  readonly begun: boolean
  /** The units of its plan, e.g. `aac-128@1 0-441000`; null before `stage` has made one. */
  readonly planned: readonly string[] | null
  /** The units that exist or have failed for good. */
  readonly finished: readonly string[]
}

/** The most jobs of a request that are read. */
export const MAX_OF_REQUEST = 10_000

/** The jobs of a request, by track; empty if the request is unknown. Of more than 10,000 one more than these. */
export async function jobsOfRequest(
  database: Database,
  requestId: string,
  signal?: AbortSignal,
): Promise<JobStatus[]> {
  if (requestId.includes('\0')) return []
  const values = [canonicalRequestId(requestId)]
  const jobs = (await database.query<Columns>(OF_REQUEST, values, signal)).map(status)
  const whole = await wholeVerdicts(
    atOnce(database, signal),
    jobs.map(({ track, assets }) => ({ track, verdicts: assets })),
  )
  return jobs.map((job, index) => ({ ...job, assets: whole[index] ?? {} }))
}

interface Columns extends JobText {
  readonly id: string
  readonly route: string
  readonly state: JobState
  readonly warnings: readonly Warning[] | null
  readonly ended_at: Date | null
  readonly announced_at: Date | null
  readonly set_aside: boolean
  readonly open_letter: boolean
  readonly any_letter: boolean
  readonly progress: Progress | null
}

/** A job, before what was made has been read. */
type BareStatus = Omit<JobStatus, 'assets'> & {
  readonly assets: Readonly<Record<string, JobVerdict | null>>
}

function status(columns: Columns): BareStatus {
  const { wanted, run, route, revision } = columns
  const owned = verdictsOf(columns)
  const assets = Object.entries(wanted).map(([asset, by]) => {
    const verdict = owned.get(asset)
    return [asset, verdict !== undefined && verdict.run >= by ? verdict : null] as const
  })
  return {
    job: columns.id,
    requestId: columns.request_id,
    track: columns.asset_guid,
    run,
    route,
    request: requestOf(columns),
    revision,
    state: shownState(columns),
    warnings: mergedWarnings(columns.warnings ?? []),
    accepted: columns.accepted_at,
    ended: columns.ended_at,
    announced: columns.announced_at,
    setAside: columns.set_aside,
    // The event of the dead-lettered message comes before its letter is stored.
    deadLettered: columns.open_letter || (columns.set_aside && !columns.any_letter),
    progress: columns.progress,
    assets: Object.fromEntries(assets),
  }
}

// The row has what publish has decided. Before that, only events show whether a step has begun.
function shownState({ state, ended_at, set_aside, progress }: Columns): JobState {
  if (ended_at !== null) return state
  if (set_aside) return 'failed'
  return progress?.begun ? 'running' : state
}

/** Steps begin after their job was accepted, by clocks that may differ: partitions of earlier days are not looked into. */
const CLOCKS_APART = `interval '1 day'`

/**
 * SQL for the `Progress` of the row `job` as one column, `progress`, from the events of its run. Storing it for every
 * job would cost more than computing it on demand.
 */
export const PROGRESS = `
  select json_build_object(
    'begun', coalesce(bool_or(verdict not in ('accepted', 'queued', 'swept')), false),
    'planned', (array_agg(to_json(units) order by at desc)
      filter (where step = 'stage' and verdict = 'done' and units <> '{}'))[1],
    'finished', (
      select coalesce(json_agg(distinct unit), '[]') from event made, unnest(made.units) unit
      where made.track = job.asset_guid and made.job = job.id and made.run = job.run
        and made.at >= job.accepted_at - ${CLOCKS_APART}
        and made.step in (${MAKING_STAGES.map((stage) => `'${stage}'`).join(', ')}) and made.verdict in ('done', 'skipped', 'failed', 'retry')
    )) as progress
  from event
  where event.track = job.asset_guid and event.job = job.id and event.run = job.run
    and event.at >= job.accepted_at - ${CLOCKS_APART}`

// The letter of a message that contradicted the job is about that message, and not about the job.
const LETTERS_OF_JOB = `select from dead_letter letter where letter.job = job.id
  and letter.code <> 'REQUEST_CONFLICT'`

const SELECT = `
  select id, request_id, asset_guid, run, route, request, wanted, verdicts, state, revision,
    accepted_at, ended_at, announced_at, coalesce(dead_lettered_run >= run, false) as set_aside,
    exists (${LETTERS_OF_JOB} and state = 'open') as open_letter,
    exists (${LETTERS_OF_JOB} and run >= job.run) as any_letter,
    progress.progress,
    (select warnings from master
      where asset_guid = job.asset_guid and revision = job.revision) as warnings
  from job left join lateral (${PROGRESS}) progress on job.ended_at is null`

const OF_REQUEST = {
  name: 'jobs-of-request',
  text: `${SELECT} where id in (
    select id from job where request_id = $1 limit ${MAX_OF_REQUEST + 1}) order by asset_guid`,
}
