import { BUDGET_MS, CHAIN, HARD_LIMIT_MS } from '../../contracts/stages.ts'
import type { Database } from '../database.ts'

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

/** Reads the figures of the interval `[from, to)`. */
export async function readKpis(
  database: Database,
  from: Date,
  to: Date,
  signal?: AbortSignal,
): Promise<Kpis> {
  const values = [from.toISOString(), to.toISOString()]
  const [counts] = await database.query<Omit<Kpis, 'steps'>>(COUNTS, values, signal)
  const steps = await database.query<StepFigures>(STEPS, values, signal)
  if (counts === undefined) throw new Error('the database counts nothing')
  return { ...counts, steps }
}

/**
 * Assets with the time at which they were recorded as made or as failed, each once. They come from the rows of assets
 * and, for tracks whose master was never read, from verdicts.
 */
export const RECORDED = `
  select recorded_at as at, state from asset
  union all
  select announced_at, 'failed'
  from job, jsonb_each(verdicts) as verdict (asset, said)
  where state in ('partial', 'failed')
    and said ->> 'state' = 'failed' and said ->> 'revision' is null`

const COUNTS = {
  name: 'kpis-counts',
  text: `
    select recorded.*, tracks, letters.*, happened.* from (
      select count(*) filter (where state = 'made') as made,
        count(*) filter (where state = 'failed') as failed
      from (${RECORDED}) recorded where at >= $1 and at < $2
    ) recorded, (
      select count(*) as tracks from job where announced_at >= $1 and announced_at < $2
    ) jobs, (
      select count(*) as "deadLettered" from dead_letter
      where published_at >= $1 and published_at < $2
    ) letters, (
      select count(*) as events,
        count(*) filter (where verdict = 'collected') as collected,
        count(*) filter (where verdict = 'retry') as requeued,
        count(*) filter (where verdict = 'swept') as swept,
        count(*) filter (where verdict = 'skipped') as skipped
      from event where at >= $1 and at < $2
    ) happened`,
}

const STEPS = {
  name: 'kpis-steps',
  text: `
    select step, count(*) as count,
      percentile_disc(0.5) within group (order by ms) as "p50Ms",
      percentile_disc(0.95) within group (order by ms) as "p95Ms",
      percentile_disc(0.99) within group (order by ms) as "p99Ms",
      max(ms) as "longestMs", sum(ms) as "sumMs", coalesce(sum(cpu_ms), 0) as "coreMs",
      count(*) filter (where ms > ${BUDGET_MS}) as "overBudget",
      count(*) filter (where ms > ${HARD_LIMIT_MS}) as "overHardLimit"
    from event
    where at >= $1 and at < $2 and step = any ('{${CHAIN}}')
    group by step
    order by array_position('{${CHAIN}}'::text[], step)`,
}
