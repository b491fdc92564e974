import { canonicalRequestId } from '../../contracts/names.ts'
import type { Query } from '../database.ts'
import { instant, rows, whole } from '../parameters.ts'
import { announcementId, isComplete, type JobRow, revisionOf, stateOf } from './job-row.ts'
import { type JobText, requestOf, requestText, verdictsOf, verdictsText } from './job-text.ts'

/** A job's row with its announcement. */
interface StoredJob {
  readonly row: JobRow
  /** The id of the announcement that is due; null while a verdict is missing. */
  readonly announcement: string | null
  /** Whether that announcement has been published. */
  readonly announced: boolean
  /** Whether a process may be publishing it right now. */
  readonly claimed: boolean
}

/**
 * How long a claim to announce is valid, s. It is longer than a step may take, so that the process that holds it has
 * announced the job by then, or has died.
 */
const CLAIM_SECONDS = 15

/** Inserts the jobs that do not exist, all in one statement. @returns the ids of those it inserted */
export async function insertJobs(query: Query, jobs: readonly JobRow[]): Promise<Set<string>> {
  const inserted = await query<{ id: string }>(INSERT, [rows(jobs.map(jobColumns))])
  return new Set(inserted.map(({ id }) => id))
}

/** Reads jobs without locks, which is enough to find out that there is nothing to do. */
export async function readJobs(
  query: Query,
  ids: Iterable<string>,
): Promise<Map<string, StoredJob>> {
  return stored(await query<Columns>(READ, [[...ids]]))
}

/**
 * Locks the jobs of these ids that exist, in the order of their ids. All code that locks jobs does it here, once per
 * transaction and before anything else, so that there are no deadlocks.
 */
export async function lockJobs(
  query: Query,
  ids: Iterable<string>,
): Promise<Map<string, StoredJob>> {
  return stored(await query<Columns>(LOCK, [[...ids]]))
}

/** Writes rows that were locked and changed. A job that is owed a verdict again restarts the watchdog's clock. */
export async function updateJobs(query: Query, jobs: readonly JobRow[]): Promise<void> {
  if (jobs.length > 0) await query(UPDATE, [rows(jobs.map(jobColumns))])
}

/** Claims the right to announce jobs that are locked. */
export async function claimJobs(query: Query, ids: readonly string[]): Promise<void> {
  if (ids.length > 0) await query(CLAIM, [[...ids], CLAIM_SECONDS])
}

/** The id of the announcement that is due for a job; null while a verdict is missing. */
export function announcementOf(row: JobRow): string | null {
  return isComplete(row) ? announcementId(row) : null
}

/** A claim that ends later than any new one could was made before the clock was set back, and is ignored. */
const NOT_FROM_A_CLOCK_AHEAD = `claimed_until < now() + make_interval(secs => ${2 * CLAIM_SECONDS})`

const SELECT = `
  select id, request_id, asset_guid, run, route, request, wanted, verdicts, revision, accepted_at,
    cancelled_at, announcement, announced_at is not null as announced,
    coalesce(claimed_until > now() and ${NOT_FROM_A_CLOCK_AHEAD}, false) as claimed
  from job where id = any($1)`

const READ = { name: 'jobs-read', text: SELECT }
const LOCK = { name: 'jobs-lock', text: `${SELECT} order by id for update` }

/** The queue that a job waits in, as `watch` has it: its route and lane. `new` is never stored. */
export const QUEUE = `route || coalesce('.' || (request ->> 'lane'), '')`

// The order of the keys keeps two batches from waiting for each other, and pages of the index from being read twice.
const INSERT = {
  name: 'jobs-insert',
  text: `
    with inserted as (
      insert into job (id, request_id, asset_guid, run, route, request, wanted, state, accepted_at)
      select id, request_id, asset_guid, run, route, request, wanted, state, accepted_at
      from json_to_recordset($1) as r (id text, request_id text, asset_guid text, run bigint,
        route text, request json, wanted json, state text, accepted_at timestamptz)
      order by id collate "C"
      on conflict (id) do nothing
      returning id, run, ${QUEUE} as route
    ), watched as (
      insert into watch (job, run, route) select id, run, route from inserted
      on conflict (job) do nothing
    )
    select id from inserted`,
}

// A job that is owed more than before is watched anew; one that is complete has only to be announced.
const UPDATE = {
  name: 'jobs-update',
  text: `
    with changed as (
      select r.*, r.state <> 'cancelled'
        and (r.wanted::text <> job.wanted::text or job.state = 'cancelled') as is_owed
      from json_to_recordset($1) as r (id text, run bigint, route text, request json,
        wanted json, verdicts json, state text, revision text, announcement text, accepted_at timestamptz)
      join job using (id)
    ), watched as (
      insert into watch (job, run, route, begun)
      select id, run, ${QUEUE}, announcement is not null from changed where is_owed
      order by id collate "C"
      on conflict (job) do update set
        run = excluded.run, route = excluded.route, since = now(), begun = excluded.begun, swept = 0
    ), complete as (
      select job from watch join changed on changed.id = watch.job
      where announcement is not null and not is_owed and not begun
      order by job for update of watch
    ), begun as (
      update watch set begun = true from complete where watch.job = complete.job
    )
    update job set
      run = r.run, route = r.route, wanted = r.wanted, verdicts = r.verdicts, state = r.state,
      revision = r.revision, announcement = r.announcement, request = r.request, accepted_at = r.accepted_at,
      ended_at = case
        when r.state = 'cancelled' then coalesce(job.ended_at, now())
        when r.announcement is null then null
        when r.announcement = job.announcement then job.ended_at
        else now() end,
      announced_at = case when r.announcement = job.announcement then job.announced_at end,
      claimed_until = case
        when r.announcement = job.announcement then job.claimed_until
        when r.announcement is not null then now() + make_interval(secs => ${CLAIM_SECONDS})
        end
    from changed r
    where job.id = r.id`,
}

const CLAIM = {
  name: 'jobs-claim',
  text: `
    update job set claimed_until = now() + make_interval(secs => $2) where id = any($1)`,
}

interface Columns extends JobText {
  readonly id: string
  readonly route: string
  readonly announcement: string | null
  readonly announced: boolean
  readonly claimed: boolean
  readonly cancelled_at: Date | null
}

/** The columns of a job's row. */
export function jobColumns(row: JobRow): object {
  const revision = revisionOf(row)
  return {
    id: row.job,
    request_id: canonicalRequestId(row.request.request_id),
    asset_guid: row.request.asset_guid,
    run: whole(row.run),
    route: row.route,
    request: requestText(row),
    wanted: Object.fromEntries(row.wanted),
    verdicts: verdictsText(row, revision),
    state: stateOf(row),
    revision,
    accepted_at: instant(row.accepted),
    announcement: announcementOf(row),
  }
}

function stored(found: readonly Columns[]): Map<string, StoredJob> {
  return new Map(
    found.map((columns) => {
      const { id, run, route, wanted, accepted_at } = columns
      const { announcement, announced, claimed, cancelled_at } = columns
      const row = {
        ...{ job: id, run, route, request: requestOf(columns) },
        accepted: accepted_at.toISOString(),
        cancelled: cancelled_at?.toISOString() ?? null,
        wanted: new Map(Object.entries(wanted)),
        verdicts: verdictsOf(columns),
      }
      return [id, { row, announcement, announced, claimed }]
    }),
  )
}
