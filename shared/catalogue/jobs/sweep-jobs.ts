import type { RunAccepted } from '../../contracts/messages/run.ts'
import type { Database } from '../database.ts'
import { rows } from '../parameters.ts'

/** A job that has been neither announced nor dead-lettered for too long. */
interface StaleJob {
  readonly job: string
  readonly run: number
  readonly route: string
  /** The request of the job, with all assets that were ever requested. */
  readonly request: RunAccepted['request']
  /** When the job was first accepted, ISO 8601. */
  readonly accepted: string
  /** The number of earlier sweeps of this run. */
  readonly swept: number
}

interface StaleQuery {
  /** The minimum time since the job was accepted, opened again or swept, s, by the database's clock. */
  readonly olderThanSeconds: number
  readonly limit: number
  readonly sweptLessThan: number
}

/**
 * Claims jobs that have been neither announced nor dead-lettered in that time, longest wait first: counts a sweep of
 * each, and returns those that no other process has claimed. Publish them afterwards.
 */
export async function sweepJobs(
  database: Database,
  query: StaleQuery,
  signal?: AbortSignal,
): Promise<readonly StaleJob[]> {
  const stale = await staleJobs(database, query, signal)
  const claimed = new Set(await markSwept(database, stale, signal))
  return stale.filter(({ job }) => claimed.has(job))
}

/** The jobs that have been neither announced nor dead-lettered in that time, longest wait first. */
async function staleJobs(
  database: Database,
  { olderThanSeconds, limit, sweptLessThan }: StaleQuery,
  signal?: AbortSignal,
): Promise<readonly StaleJob[]> {
  const values = [olderThanSeconds, sweptLessThan, limit]
  const found = await database.query<Columns>(STALE, values, signal)
  return found.map(({ id, accepted_at, request, wanted, ...rest }) => ({
    ...rest,
    job: id,
    request: { ...request, derivative_assets: wanted },
    accepted: accepted_at.toISOString(),
  }))
}

/**
 * Counts a sweep of each job and restarts its clock. Returns the ids of those that no other process has swept and that
 * have not ended in the meantime.
 */
async function markSwept(
  database: Database,
  jobs: readonly StaleJob[],
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (jobs.length === 0) return []
  const values = jobs.map(({ job, swept }) => ({ id: job, swept }))
  const marked = await database.query<{ id: string }>(SWEPT, [rows(values)], signal)
  return marked.map(({ id }) => id)
}

interface Columns {
  readonly id: string
  readonly run: number
  readonly route: string
  readonly request: RunAccepted['request']
  readonly wanted: string[]
  readonly accepted_at: Date
  readonly swept: number
}

const STALE = {
  name: 'jobs-stale',
  text: `
    select id, run, route, request, accepted_at, swept,
      array(select jsonb_object_keys(wanted) order by 1) as wanted
    from job
    where watched_since < now() - make_interval(secs => $1) and swept < $2
    order by watched_since
    limit $3`,
}

const SWEPT = {
  name: 'jobs-swept',
  text: `
    with sweep as (
      select id, swept from json_to_recordset($1) as r (id text, swept int)
    ), locked as (
      select id from job where id in (select id from sweep) order by id for update
    )
    update job set swept = job.swept + 1, watched_since = now()
    from locked join sweep using (id)
    where job.id = locked.id and job.swept = sweep.swept and job.watched_since is not null
    returning job.id`,
}
