import { CAMPAIGN_ID_PATTERN } from '../../contracts/names.ts'
import { atOnce, type Database, type Query } from '../database.ts'

/** What can be cancelled: later releases may have other kinds. */
export type CancelKind = 'job' | 'request'

/** One cancellation: every run of its job or request is cancelled that was accepted at or before `before`. */
export interface Cancellation {
  /** Ascending, in the order of commits. */
  readonly number: number
  readonly kind: CancelKind
  /** The id of the job, or of the request in its canonical form. */
  readonly id: string
  readonly before: Date
  readonly at: Date
  /** The caller who asked for it. */
  readonly by: string
  readonly reason: string | null
}

/** What came of a wish to cancel. `isNew`: false when it was cancelled before, and nothing has been asked for since. */
type CancelOutcome =
  | {
      readonly result: 'cancelled'
      readonly cancellation: Cancellation
      readonly isNew: boolean
    }
  | { readonly result: 'unknown' }
  | { readonly result: 'ended' }

/** The key of the advisory lock of those who add cancellations: an arbitrary number that no other program uses. */
const LOCK = 7_472_616_370
/**
 * Up to this many jobs of a request are asked when they were accepted, in case the clock of a replica was ahead. More
 * would take longer than anybody waits.
 */
const MAX_ASKED = 10_000
/** The number of jobs that one statement ends: none waits long for its locks. */
const BATCH_JOBS = 1000

/**
 * Cancels a job or a request by one row, if any of its jobs has not ended. The rows of its jobs are ended afterwards, by
 * `endCancelled`.
 * @param of.job the id of the job; null: the whole request
 */
export async function cancel(
  database: Database,
  of: { readonly request: string; readonly job: string | null },
  { by, reason }: { readonly by: string; readonly reason: string | null },
  signal?: AbortSignal,
): Promise<CancelOutcome> {
  return await database.transaction(async (query): Promise<CancelOutcome> => {
    const { request, job } = of
    const [kind, id] = job === null ? (['request', request] as const) : (['job', job] as const)
    const [found] = await query<Found>(FIND[kind], [id])
    if (!found?.known) return { result: 'unknown' }
    if (found.open) {
      const cancellation = await addCancellation(query, kind, id, { by, reason })
      return { result: 'cancelled', cancellation, isNew: true }
    }
    const latest = found.cancelled
      ? await latestCancellation({ query }, request, job)
      : undefined
    if (latest === undefined) return { result: 'ended' }
    return { result: 'cancelled', cancellation: latest, isNew: false }
  }, signal)
}

/** The latest cancellation of a request, or of a job of it; undefined if there was none. */
export async function latestCancellation(
  { query }: { readonly query: Query },
  request: string,
  job: string | null = null,
): Promise<Cancellation | undefined> {
  return (await query<Cancellation>(LATEST, [request, job]))[0]
}

/** Adds a cancellation within a transaction: everything of it that was accepted until now is cancelled. */
export async function addCancellation(
  query: Query,
  kind: CancelKind,
  id: string,
  { by, reason }: { readonly by: string; readonly reason: string | null },
): Promise<Cancellation> {
  // Numbers are given in the order of commits: a reader who has seen one has missed none before it.
  await query({ text: 'select pg_advisory_xact_lock($1)' }, [LOCK])
  const [added] = await query<Cancellation>(ADD[kind], [id, by, reason])
  if (added === undefined) throw new Error('the database added no cancellation')
  return added
}

/**
 * Ends the rows of cancelled jobs that are still open, batch by batch, until none is left or `signal` aborts. Any number
 * of processes may do it at once.
 * @returns how many were ended, and whether none is left
 */
export async function endCancelled(
  database: Database,
  { number, kind, id }: Pick<Cancellation, 'number' | 'kind' | 'id'>,
  signal?: AbortSignal,
): Promise<{ readonly ended: number; readonly isAll: boolean }> {
  const query = atOnce(database)
  const isCampaign = CAMPAIGN_ID.test(id) && (await query(IS_CAMPAIGN, [id])).length > 0
  const statement = isCampaign ? END_OF_CAMPAIGN : END_OF[kind]
  for (let ended = 0; ; ) {
    if (signal?.aborted) return { ended, isAll: false }
    const batch = await query(statement, [number, BATCH_JOBS])
    ended += batch.length
    if (batch.length > 0) continue
    await query(ENDED, [number])
    return { ended, isAll: true }
  }
}

/** The cancellations of which jobs may still be open, the oldest first. */
export async function openCancellations(
  database: Database,
  signal?: AbortSignal,
): Promise<readonly Cancellation[]> {
  return await database.query<Cancellation>(OPEN_CANCELLATIONS, [], signal)
}

/**
 * Ends those of these jobs that are cancelled and still open: a step has found its run cancelled. A row may have been
 * written after the cancellation has looked for rows.
 */
export async function endFoundCancelled(query: Query, jobs: readonly string[]): Promise<void> {
  if (jobs.length > 0) await query(END_FOUND, [[...new Set(jobs)]])
}

interface Found {
  readonly known: boolean
  readonly open: boolean
  readonly cancelled: boolean
}

const COLUMNS = 'number, kind, id, before, at, by, reason'
/** A job that has neither ended nor become a dead letter. */
const IS_OPEN = `job.ended_at is null and coalesce(job.dead_lettered_run < job.run, true)`
/** The column of a job that has the id of what is cancelled. */
const COLUMN: Readonly<Record<CancelKind, string>> = { job: 'id', request: 'request_id' }

const find = (kind: CancelKind) => ({
  name: `cancel-find-${kind}`,
  text: `
    select exists (select from job where ${COLUMN[kind]} = $1) as known,
      exists (select from job where ${COLUMN[kind]} = $1 and ${IS_OPEN}) as open,
      exists (select from job where ${COLUMN[kind]} = $1 and state = 'cancelled') as cancelled`,
})
const FIND = { job: find('job'), request: find('request') }

// The later of now and the acceptances, so that the clocks of replicas do not matter.
const add = (kind: CancelKind) => ({
  name: `cancel-add-${kind}`,
  text: `
    insert into cancellation (kind, id, before, by, reason)
    select '${kind}', $1::text, greatest(date_trunc('milliseconds', clock_timestamp()), (
      select max(accepted_at) from (
        select accepted_at from job where ${COLUMN[kind]} = $1 limit ${MAX_ASKED}
      ) asked)), $2, $3
    returning ${COLUMNS}`,
})
const ADD = { job: add('job'), request: add('request') }

const LATEST = {
  name: 'cancel-latest',
  text: `
    select ${COLUMNS} from cancellation
    where kind = 'request' and id = $1 or kind = 'job' and id = $2
    order by number desc limit 1`,
}

const ENDED = {
  name: 'cancel-ended',
  text: 'update cancellation set ended_at = now() where number = $1 and ended_at is null',
}

const OPEN_CANCELLATIONS = {
  name: 'cancel-open',
  text: `select ${COLUMNS} from cancellation
    where ended_at is null and kind in ('job', 'request') order by number limit 100`,
}

/**
 * SQL that ends the jobs that `picked` has, each with its cancellation. The event of an operator is written with the row,
 * for the history of the track.
 */
const ending = (picked: string) => `
  with picked as materialized (${picked}), locked as (
    select job.id, picked.before, picked.by, picked.reason
    from job join picked using (id)
    where ${IS_OPEN} and job.accepted_at <= picked.before
    order by job.id for update of job
  ), unwatched as (
    delete from watch using locked where watch.job = locked.id
  ), ended as (
    update job set state = 'cancelled', cancelled_at = locked.before, ended_at = now(),
      announcement = null, announced_at = null, claimed_until = null
    from locked where job.id = locked.id
    returning job.id, job.asset_guid, job.run, job.route, locked.by, locked.reason
  )
  insert into event (at, id, step, verdict, job, track, run, route, attempt, units, worker, ms, code, sentence)
  select clock_timestamp(), gen_random_uuid(), 'operator', 'cancelled', id, asset_guid, run, route, 1, '{}', 'catalogue', 0,
    'CANCELLED', 'cancelled by ' || by || coalesce(': ' || reason, '')
  from ended
  returning job`

const endingOf = (kind: CancelKind) => ({
  name: `cancel-end-${kind}`,
  text: ending(`
    select job.id, cancelled.before, cancelled.by, cancelled.reason
    from cancellation cancelled join job on job.${COLUMN[kind]} = cancelled.id
    where cancelled.number = $1 and ${IS_OPEN} and job.accepted_at <= cancelled.before
    limit $2`),
})
const END_OF = { job: endingOf('job'), request: endingOf('request') }

const CAMPAIGN_ID = new RegExp(CAMPAIGN_ID_PATTERN)
const IS_CAMPAIGN = { name: 'cancel-is-campaign', text: 'select from campaign where id = $1' }

// Of millions of jobs few are open.
const END_OF_CAMPAIGN = {
  name: 'cancel-end-campaign',
  text: ending(`
    select job.id, cancelled.before, cancelled.by, cancelled.reason
    from cancellation cancelled
    join campaign on campaign.id = cancelled.id
    join campaign_open open on open.campaign = campaign.number
    join job on job.id = open.job
    where cancelled.number = $1 and ${IS_OPEN} and job.accepted_at <= cancelled.before
    limit $2`),
}

const END_FOUND = {
  name: 'cancel-end-found',
  text: ending(`
    select distinct on (job.id) job.id, cancelled.before, cancelled.by, cancelled.reason
    from job join cancellation cancelled
      on cancelled.kind = 'job' and cancelled.id = job.id
      or cancelled.kind = 'request' and cancelled.id = job.request_id
    where job.id = any($1)
    order by job.id, cancelled.before desc`),
}
