import { KEPT_DAYS } from '../../contracts/api/cancellation.ts'
import type { RunAccepted } from '../../contracts/messages/run.ts'
import { canonicalRequestId } from '../../contracts/names.ts'
import type { Database } from '../database.ts'
import { rows } from '../parameters.ts'
import type { CancelKind, Cancellation } from './cancel-jobs.ts'
import { type JobText, requestOf } from './job-text.ts'

/** Cancellations in the order of their numbers. */
interface CancellationPage {
  readonly cancellations: readonly Pick<Cancellation, 'number' | 'kind' | 'id' | 'before'>[]
  /** The number of the latest one that there is; 0: none. */
  readonly last: number
}

/** The cancellations of the last 32 days with higher numbers than `after`, the oldest first, `limit` at most. */
export async function cancellationsAfter(
  database: Database,
  after: number,
  limit: number,
  signal?: AbortSignal,
): Promise<CancellationPage> {
  const found = await database.query<AfterColumns>(AFTER, [after, limit], signal)
  const cancellations = found
    .filter(({ number }) => number !== null)
    .map(({ number, kind, id, before }) => ({ number, kind, id, before }))
  return { cancellations, last: found[0]?.last ?? 0 }
}

/** What is known about a job before it is accepted again. */
export interface EarlierJob {
  /** Its first request; absent when the job is not known. */
  readonly request?: RunAccepted['request']
  /** The highest known run; 0: none. */
  readonly run: number
  /** Up to when acceptances of the job are cancelled; null: never. */
  readonly cancelled: Date | null
  /** Whether the latest acceptance of the job is cancelled. */
  readonly isCancelled: boolean
}

/** The job that is to be accepted again, and its request. */
interface AskedAgain {
  readonly job: string
  readonly request: Pick<RunAccepted['request'], 'request_id' | 'release_id'>
}

/**
 * What is known about jobs, by their ids, and of cancellations of their requests and releases. Unknown jobs are left out.
 */
export async function earlierJobs(
  database: Database,
  jobs: readonly AskedAgain[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, EarlierJob>> {
  const given = jobs.map(({ job, request: { request_id, release_id } }) => ({
    id: job,
    request: canonicalRequestId(request_id),
    release: release_id === undefined ? null : `${release_id}`,
  }))
  const found = await database.query<EarlierColumns>(EARLIER, [rows(given)], signal)
  return new Map(
    found.map((columns) => {
      const { id, run, cancelled, is_cancelled, request_id } = columns
      const request =
        request_id === null ? {} : { request: requestOf({ ...columns, request_id }) }
      return [id, { ...request, run: run ?? 0, cancelled, isCancelled: is_cancelled }]
    }),
  )
}

type AfterColumns = CancellationPage['cancellations'][number] & { readonly last: number }

type EarlierColumns = Pick<JobText, 'asset_guid' | 'request' | 'wanted'> & {
  readonly id: string
  readonly request_id: string | null
  readonly run: number | null
  readonly cancelled: Date | null
  readonly is_cancelled: boolean
}

const AFTER = {
  name: 'cancellations-after',
  text: `
    select number, kind, id, before, last
    from (select coalesce(max(number), 0) as last from cancellation) as latest
    left join lateral (
      select number, kind, id, before from cancellation
      where number > $1 and at > now() - interval '${KEPT_DAYS} days'
      order by number limit $2
    ) as news on true
    order by number`,
}

const BEFORE_OF = (kind: CancelKind, id: string) =>
  `(select max(before) from cancellation where kind = '${kind}' and cancellation.id = ${id})`

// By keys alone: a catalogue that is young has no statistics, and a join would read all jobs for each batch.
const EARLIER = {
  name: 'jobs-earlier',
  text: `
    select given.id, job.request_id, asset_guid, job.request, wanted, run, cancelled,
      coalesce(job.accepted_at <= cancelled and (job.ended_at is null or job.state = 'cancelled'), false)
        as is_cancelled
    from json_to_recordset($1) as given (id text, request text, release text)
    left join lateral (select * from job where job.id = given.id offset 0) job on true
    cross join lateral (
      select greatest(job.cancelled_at, ${BEFORE_OF('job', 'given.id')}, ${BEFORE_OF('request', 'given.request')},
        ${BEFORE_OF('release', "coalesce(given.release, job.request ->> 'release_id')")}) as cancelled
    ) as upto
    where job.id is not null or cancelled is not null`,
}
