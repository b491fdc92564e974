import type { RunAccepted } from '../../contracts/messages/run.ts'
import type { Database } from '../database.ts'
import { rows } from '../parameters.ts'
import { type JobText, requestOf } from './job-text.ts'

/** A job that stands still. */
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
  /** How long a job may stand still, s, by the database's clock. */
  readonly olderThanSeconds: number
  readonly limit: number
  readonly sweptLessThan: number
}

/**
 * Claims jobs that stand still, longest wait first: counts a sweep of each, and returns those that no other process has
 * claimed. Publish them afterwards.
 *
 * A job that has begun stands still when no step of it has been recorded in that time. One that waits for its first step
 * is only as late as its queue, however long that is: it stands still when nothing of its route has begun in that time,
 * or nothing but jobs that began to wait later than it by that time.
 */
export async function sweepJobs(
  database: Database,
  query: StaleQuery,
  signal?: AbortSignal,
): Promise<readonly StaleJob[]> {
  const stale = await staleJobs(database, query, signal)
  const claimed = new Set(await markSwept(database, stale, query.sweptLessThan, signal))
  return stale.filter(({ job }) => claimed.has(job))
}

async function staleJobs(
  database: Database,
  { olderThanSeconds, limit, sweptLessThan }: StaleQuery,
  signal?: AbortSignal,
): Promise<readonly StaleJob[]> {
  const values = [olderThanSeconds, sweptLessThan, limit]
  const found = await database.query<Columns>(STALE, values, signal)
  return found.map((columns) => {
    const { id, run, route, swept, wanted, accepted_at } = columns
    const derivative_assets = Object.keys(wanted).sort()
    return {
      ...{ job: id, run, route, swept },
      request: { ...requestOf(columns), derivative_assets },
      accepted: accepted_at.toISOString(),
    }
  })
}

/**
 * Counts a sweep of each job and restarts its clock. Returns the ids of those that no other process has swept and that
 * have not ended in the meantime.
 */
async function markSwept(
  database: Database,
  jobs: readonly StaleJob[],
  mostSweeps: number,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  if (jobs.length === 0) return []
  const values = [rows(jobs.map(({ job, swept }) => ({ id: job, swept }))), mostSweeps]
  const marked = await database.query<{ id: string }>(SWEPT, values, signal)
  return marked.map(({ id }) => id)
}

interface Columns extends JobText {
  readonly id: string
  readonly route: string
  readonly swept: number
}

/**
 * SQL, to follow `with recursive`: as `routes` the queues in which jobs wait, and at last a null. They are few, and are
 * looked up one by one in the index.
 */
export const WAITING_ROUTES = `
    routes as (
      (select route from watch where not begun order by route limit 1)
      union all
      select (select route from watch where not begun and watch.route > routes.route order by route limit 1)
      from routes where route is not null
    )`

// Route by route, so that the index is read from the longest wait of each.
const STALE = {
  name: 'jobs-stale',
  text: `
    with recursive ${WAITING_ROUTES}, queues as (
      select route, least(now(), (select min(waited_since) from beginning
        where beginning.route = routes.route and minute > now() - make_interval(secs => $1)))
        - make_interval(secs => $1) as before
      from routes where route is not null
    ), late as (
      (select job, since, swept from watch
        where begun and since < now() - make_interval(secs => $1) and swept < $2
        order by since limit $3)
      union all
      select waiting.* from queues, lateral (
        select job, since, swept from watch
        where not begun and watch.route = queues.route and since < queues.before and swept < $2
        order by since limit $3
      ) waiting
    )
    select id, request_id, asset_guid, run, route, request, wanted, verdicts, revision, accepted_at, swept
    from late join job on job.id = late.job
    order by since limit $3`,
}

// After its last sweep a job is never looked at again, unless it is opened again.
const SWEPT = {
  name: 'jobs-swept',
  text: `
    with sweep as (
      select id, swept from json_to_recordset($1) as r (id text, swept int)
    ), locked as (
      select job from watch where job in (select id from sweep) order by job for update
    )
    update watch set swept = watch.swept + 1, begun = false,
      since = case when watch.swept + 1 < $2 then now() else 'infinity' end
    from locked join sweep on sweep.id = locked.job
    where watch.job = locked.job and watch.swept = sweep.swept
    returning watch.job as id`,
}
