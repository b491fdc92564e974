import { CAMPAIGN_ID_PATTERN } from '../../contracts/names.ts'
import { atOnce, type Database, type Query } from '../database.ts'

/** What can be cancelled: later releases may have other kinds. */
export type CancelKind = 'job' | 'request' | 'release'

/** What is to be cancelled: a whole request, one job of it by its id, or what jobs have named a release. */
type Cancellable =
  | { readonly request: string; readonly job: string | null }
  | { readonly release: number }

/** One cancellation: every run of its job, request or release is cancelled that was accepted at or before `before`. */
export interface Cancellation {
  /** Ascending, in the order of commits. */
  readonly number: number
  readonly kind: CancelKind
  /** The id of the job, of the request in its canonical form, or of the release. */
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
 * Up to this many jobs of a request or a release are asked when they were accepted, in case the clock of a replica was ahead. More
 * would take longer than anybody waits.
 */
const MAX_ASKED = 10_000
/** The number of jobs that one statement ends: none waits long for its locks. */
const BATCH_JOBS = 1000

/**
 * Cancels a job, a request or a release by one row, if any of its jobs has not ended. The rows of its jobs are ended
 * afterwards, by `endCancelled`.
 */
export async function cancel(
  database: Database,
  of: Cancellable,
  { by, reason }: { readonly by: string; readonly reason: string | null },
  signal?: AbortSignal,
): Promise<CancelOutcome> {
  return await database.transaction(async (query): Promise<CancelOutcome> => {
    const { kind, id } = named(of)
    const [found] = await query<Found>(FIND[kind], [id])
    if (!found?.known) return { result: 'unknown' }
    if (found.open) {
      const cancellation = await addCancellation(query, kind, id, { by, reason })
      return { result: 'cancelled', cancellation, isNew: true }
    }
    const latest = found.cancelled ? await latestCancellation({ query }, of) : undefined
    if (latest === undefined) return { result: 'ended' }
    return { result: 'cancelled', cancellation: latest, isNew: false }
  }, signal)
}

/** The latest cancellation of this, or of the request that it is a job of; undefined if there was none. */
export async function latestCancellation(
  { query }: { readonly query: Query },
  of: Cancellable,
): Promise<Cancellation | undefined> {
  const { kind, id } = named(of)
  const request = 'request' in of ? of.request : null
  return (await query<Cancellation>(LATEST, [kind, id, request]))[0]
}

/** The kind and the id of a cancellation of this. */
function named(of: Cancellable): Pick<Cancellation, 'kind' | 'id'> {
  if ('release' in of) return { kind: 'release', id: `${of.release}` }
  const { request, job } = of
  return job === null ? { kind: 'request', id: request } : { kind: 'job', id: job }
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
/**
 * SQL that follows `from`: the jobs of what is cancelled, whose id is $1. Those of a release are looked up one by one: a
 * table that is being filled has no statistics.
 */
const JOBS_OF: Readonly<Record<CancelKind, string>> = {
  job: 'job where id = $1',
  request: 'job where request_id = $1',
  release: `release_job member
      cross join lateral (select * from job where id = member.job offset 0) job
      where member.release_id = $1::bigint`,
}

const find = (kind: CancelKind) => ({
  name: `cancel-find-${kind}`,
  text: `
    select exists (select from ${JOBS_OF[kind]}) as known,
      exists (select from ${JOBS_OF[kind]} and ${IS_OPEN}) as open,
      exists (select from ${JOBS_OF[kind]} and state = 'cancelled') as cancelled`,
})
const FIND = { job: find('job'), request: find('request'), release: find('release') }

// The later of now and the acceptances, so that the clocks of replicas do not matter.
const add = (kind: CancelKind) => ({
  name: `cancel-add-${kind}`,
  text: `
    insert into cancellation (kind, id, before, by, reason)
    select '${kind}', $1::text, greatest(date_trunc('milliseconds', clock_timestamp()), (
      select max(accepted_at) from (
        select accepted_at from ${JOBS_OF[kind]} limit ${MAX_ASKED}
      ) asked)), $2, $3
    returning ${COLUMNS}`,
})
const ADD = { job: add('job'), request: add('request'), release: add('release') }

const LATEST = {
  name: 'cancel-latest',
  text: `
    select ${COLUMNS} from cancellation
    where kind = $1 and id = $2 or kind = 'request' and id = $3
    order by number desc limit 1`,
}

const ENDED = {
  name: 'cancel-ended',
  text: 'update cancellation set ended_at = now() where number = $1 and ended_at is null',
}

const OPEN_CANCELLATIONS = {
  name: 'cancel-open',
  text: `select ${COLUMNS} from cancellation
    where ended_at is null and kind in ('job', 'request', 'release') order by number limit 100`,
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

const endingOf = (kind: 'job' | 'request', column: string) => ({
  name: `cancel-end-${kind}`,
  text: ending(`
    select job.id, cancelled.before, cancelled.by, cancelled.reason
    from cancellation cancelled join job on job.${column} = cancelled.id
    where cancelled.number = $1 and ${IS_OPEN} and job.accepted_at <= cancelled.before
    limit $2`),
})

const END_OF_RELEASE = {
  name: 'cancel-end-release',
  text: ending(`
    select job.id, cancelled.before, cancelled.by, cancelled.reason
    from (select *, id::bigint as release_id from cancellation where number = $1 offset 0) cancelled
    join release_job member on member.release_id = cancelled.release_id
    cross join lateral (select * from job where id = member.job offset 0) job
    where ${IS_OPEN} and job.accepted_at <= cancelled.before
    limit $2`),
}

const END_OF = {
  job: endingOf('job', 'id'),
  request: endingOf('request', 'request_id'),
  release: END_OF_RELEASE,
}

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
      or cancelled.kind = 'release' and cancelled.id = job.request ->> 'release_id'
    where job.id = any($1)
    order by job.id, cancelled.before desc`),
}
