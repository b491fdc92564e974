import { CHAIN } from '../../contracts/stages.ts'
import { atOnce, type Database } from '../database.ts'
import {
  BUCKET_SECONDS,
  DAY_SECONDS,
  MINUTE_SECONDS,
  msOfClass,
  SUMS,
} from '../events/activity.ts'
import { MINUTE_DAYS } from '../events/forget.ts'

/** What was done between two instants. All but `steps` are counts. */
export interface Kpis {
  /** Assets that were recorded as made, and as failed, each once. */
  readonly made: number
  readonly failed: number
  /** Jobs that were announced as done, partial or failed. */
  readonly tracks: number
  /** The following count events by the time at which their step began. */
  readonly events: number
  readonly collected: number
  readonly requeued: number
  /** Dead letters, settled or not. */
  readonly deadLettered: number
  readonly swept: number
  readonly skipped: number
  readonly steps: readonly StepFigures[]
}

/** The durations of the deliveries of one step. */
interface StepFigures {
  readonly step: string
  readonly count: number
  /** Wall-clock ms. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly longestMs: number
  readonly sumMs: number
  /** The core time of the deliveries for which it is known, ms. */
  readonly coreMs: number
  readonly overBudget: number
  readonly overHardLimit: number
}

/** The number of deliveries up to which percentiles are taken of each one's duration. */
const MAX_EXACT = 20_000
const MINUTE_MS = 1000 * MINUTE_SECONDS
const BUCKET_MS = 1000 * BUCKET_SECONDS
const DAY_MS = 1000 * DAY_SECONDS

/**
 * Reads the figures of the interval `[from, to)`. What was made, failed and announced is counted by whole minutes: those
 * that the interval touches. Of more than 20,000 deliveries percentiles are right to a tenth.
 */
export async function readKpis(
  database: Database,
  from: Date,
  to: Date,
  signal?: AbortSignal,
): Promise<Kpis> {
  const query = atOnce(database, signal)
  // Whole days; whole buckets before and after them; minutes before and after those; the events that are left.
  const interval = [from.getTime(), to.getTime()] as const
  const hasMinutes = from.getTime() > Date.now() - MINUTE_DAYS * DAY_MS
  const minutes = within(interval, hasMinutes ? MINUTE_MS : BUCKET_MS)
  const buckets = within(minutes, BUCKET_MS)
  const days = within(buckets, DAY_MS)
  const values = [interval, minutes, buckets, days]
    .flat()
    .map((ms) => new Date(ms).toISOString())
  const window = values.slice(0, 2)
  const [counts] = await query<Counts>(COUNTS, window)
  if (counts === undefined) throw new Error('the database counts nothing')
  const deliveries = await query<Deliveries>(DELIVERIES, values)
  const events = sum(deliveries, 'count')
  const exact = events > MAX_EXACT ? [] : await query<Percentiles>(PERCENTILES, window)
  const of = (verdict: string) =>
    sum(
      deliveries.filter((each) => each.verdict === verdict),
      'count',
    )
  return {
    ...counts,
    events,
    collected: of('collected'),
    requeued: of('retry'),
    swept: of('swept'),
    skipped: of('skipped'),
    steps: CHAIN.flatMap((step) => {
      const mine = deliveries.filter((each) => each.step === step)
      if (mine.length === 0) return []
      return [
        figures(
          step,
          mine,
          exact.find((each) => each.step === step),
        ),
      ]
    }),
  }
}

type Span = readonly [begin: number, end: number]

/** The whole spans of an interval: where the first begins and the last ends; at its begin when there is none. */
function within([begin, end]: Span, ms: number): Span {
  const first = Math.ceil(begin / ms) * ms
  const last = Math.floor(end / ms) * ms
  return first < last ? [first, last] : [begin, begin]
}

type Counts = Pick<Kpis, 'made' | 'failed' | 'tracks' | 'deadLettered'>

/** Deliveries of one class of durations. */
interface Deliveries {
  readonly step: string
  readonly verdict: string
  readonly class: number
  readonly count: number
  readonly ms: number
  readonly longest_ms: number
  readonly core_ms: number
  readonly over_budget: number
  readonly over_hard_limit: number
}

interface Percentiles extends Pick<StepFigures, 'p50Ms' | 'p95Ms' | 'p99Ms'> {
  readonly step: string
}

type Summed = 'count' | 'ms' | 'core_ms' | 'over_budget' | 'over_hard_limit'

function sum(deliveries: readonly Deliveries[], of: Summed): number {
  return deliveries.reduce((total, each) => total + each[of], 0)
}

function figures(
  step: string,
  deliveries: readonly Deliveries[],
  exact: Percentiles | undefined,
): StepFigures {
  const longestMs = Math.max(...deliveries.map((each) => each.longest_ms))
  const count = sum(deliveries, 'count')
  const sorted = deliveries.toSorted((a, b) => a.class - b.class)
  const percentile = (share: number) => {
    let before = 0
    const at = sorted.find((each) => {
      before += each.count
      return before >= share * count
    })
    return Math.min(longestMs, msOfClass(at?.class ?? 0))
  }
  const estimated = { p50Ms: percentile(0.5), p95Ms: percentile(0.95), p99Ms: percentile(0.99) }
  return {
    ...{ step, count, longestMs, ...estimated, ...exact },
    ...{ sumMs: sum(deliveries, 'ms'), coreMs: sum(deliveries, 'core_ms') },
    overBudget: sum(deliveries, 'over_budget'),
    overHardLimit: sum(deliveries, 'over_hard_limit'),
  }
}

const COUNTS = {
  name: 'kpis-counts',
  text: `
    select counted.*, letters.* from (
      select coalesce(sum(made), 0)::bigint as made, coalesce(sum(failed), 0)::bigint as failed,
        coalesce(sum(announced), 0)::bigint as tracks
      from minute_count where minute >= date_trunc('minute', $1::timestamptz) and minute < $2
    ) counted, (
      select count(*) as "deadLettered" from dead_letter
      where published_at >= $1 and published_at < $2
    ) letters`,
}

const READ = (where: string) => `
  select step, verdict, class_of(ms) as class, ${SUMS} from event where ${where} group by 1, 2, 3`

const KEPT =
  'step, verdict, class, count, ms, longest_ms, core_ms, over_budget, over_hard_limit'

const DELIVERIES = {
  name: 'kpis-deliveries',
  text: `
    select step, verdict, class, sum(count)::bigint as count, sum(ms) as ms,
      max(longest_ms) as longest_ms, sum(core_ms) as core_ms,
      sum(over_budget)::bigint as over_budget, sum(over_hard_limit)::bigint as over_hard_limit
    from (
      select ${KEPT} from activity_day where bucket >= $7 and bucket < $8
      union all
      select ${KEPT} from activity where bucket >= $5 and bucket < $7 or bucket >= $8 and bucket < $6
      union all
      select ${KEPT} from activity_minute where minute >= $3 and minute < $5 or minute >= $6 and minute < $4
      union all ${READ('at >= $1 and at < $3')}
      union all ${READ('at >= $4 and at < $2')}
    ) every
    group by 1, 2, 3`,
}

const PERCENTILES = {
  name: 'kpis-percentiles',
  text: `
    select step, percentile_disc(0.5) within group (order by ms) as "p50Ms",
      percentile_disc(0.95) within group (order by ms) as "p95Ms",
      percentile_disc(0.99) within group (order by ms) as "p99Ms"
    from event
    where at >= $1 and at < $2 and step = any ('{${CHAIN}}')
    group by step`,
}
