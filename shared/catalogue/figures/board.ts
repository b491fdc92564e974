import { CHAIN } from '../../contracts/stages.ts'
import { atOnce, type Database } from '../database.ts'
import { PROGRESS, type Progress } from '../jobs/read-jobs.ts'
import { RECORDED } from './kpis.ts'

/** The current state of the chain. */
export interface Board {
  readonly at: Date
  /** Tracks by the state of their latest job. */
  readonly tracks: Readonly<Record<'running' | 'done' | 'partial' | 'failed', number>>
  /** The progress of jobs that have not ended: of all, or of a random sample. */
  readonly under: readonly Progress[]
  /** The number of jobs that each element of `under` stands for. */
  readonly scale: number
  /** The deliveries of the last minute, by step. */
  readonly steps: readonly StepPace[]
  readonly lettersOpen: number
  /** The number of assets that were recorded as made in the last 60 s. */
  readonly made: number
  /** The assets recorded in each of the last 60 minutes, oldest first, without empty minutes. */
  readonly minutes: readonly {
    readonly at: Date
    readonly made: number
    readonly failed: number
  }[]
}

interface StepPace {
  readonly step: string
  readonly done: number
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** The maximum number of jobs whose progress is read. If there are more, this many are picked at random. */
const MAX_LOOKED_AT = 500

/** Reads the current state of the chain. */
export async function readBoard(database: Database, signal?: AbortSignal): Promise<Board> {
  const query = atOnce(database, signal)
  const [now] = await query<{ at: Date; letters: number; owed: number; made: number }>(NOW)
  const { at = new Date(), letters = 0, owed = 0, made = 0 } = now ?? {}
  const states = await query<{ state: keyof Board['tracks']; count: number }>(STATES)
  const scale = Math.max(1, owed / MAX_LOOKED_AT)
  const found = await query<{ progress: Progress }>(UNDER_WAY, [1 / scale, MAX_LOOKED_AT])
  const under = found.map(({ progress }) => progress)
  const counted = Object.fromEntries(states.map(({ state, count }) => [state, count]))
  return {
    at,
    under,
    scale: under.length === 0 ? 1 : scale,
    lettersOpen: letters,
    made,
    tracks: { running: 0, done: 0, partial: 0, failed: 0, ...counted },
    steps: await query<StepPace>(STEPS, [at]),
    minutes: await query<Board['minutes'][number]>(MINUTES, [at]),
  }
}

const NOW = {
  name: 'board-now',
  text: `
    select clock_timestamp() as at,
      (select count(*) from dead_letter where state = 'open') as letters,
      (select count(*) from job
        where watched_since is not null and ended_at is null) as owed,
      (select count(*) from asset
        where state = 'made' and recorded_at >= now() - interval '1 minute') as made`,
}

const STATES = {
  name: 'board-states',
  text: 'select state, count(*) as count from track_listing group by state',
}

const UNDER_WAY = {
  name: 'board-under-way',
  text: `
    select progress from (
      select id, asset_guid, run from job
      where watched_since is not null and ended_at is null and random() < $1 limit $2
    ) job cross join lateral (${PROGRESS}) progress`,
}

const STEPS = {
  name: 'board-steps',
  text: `
    select step, count(*) filter (where verdict in ('accepted', 'done', 'skipped')) as done,
      count(*) filter (where verdict in ('failed', 'dead-lettered')) as failed,
      percentile_disc(0.5) within group (order by ms) as "p50Ms",
      percentile_disc(0.99) within group (order by ms) as "p99Ms"
    from event
    where at >= $1::timestamptz - interval '1 minute'
      and step = any ('{${CHAIN}}')
    group by step`,
}

const MINUTES = {
  name: 'board-minutes',
  text: `
    select date_trunc('minute', at) as at,
      count(*) filter (where state = 'made') as made,
      count(*) filter (where state = 'failed') as failed
    from (${RECORDED}) recorded
    where at >= date_trunc('minute', $1::timestamptz) - interval '59 minutes'
    group by 1 order by 1`,
}
