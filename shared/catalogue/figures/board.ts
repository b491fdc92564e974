import type { TRACK_STATES } from '../../contracts/api/track.ts'
import { DEFAULT_LANE, type Lane } from '../../contracts/lanes.ts'
import { CHAIN } from '../../contracts/stages.ts'
import { atOnce, type Database } from '../database.ts'
import { PROGRESS, type Progress } from '../jobs/read-jobs.ts'
import { WAITING_ROUTES } from '../jobs/sweep-jobs.ts'

/** The current state of the chain. */
export interface Board {
  readonly at: Date
  /** Tracks by the state of their latest job. */
  readonly tracks: Readonly<Record<(typeof TRACK_STATES)[number], number>>
  /** The number of jobs that wait for their first step. */
  readonly waiting: number
  /** How many of them are in each lane; of each up to 10,000 are counted. */
  readonly lanes: Readonly<Record<Lane, number>>
  /** The progress of jobs that have begun and not ended: of all, or of a random sample. */
  readonly under: readonly Progress[]
  /** The number of jobs that each element of `under` stands for. */
  readonly scale: number
  /** The deliveries of the last minute, by step. */
  readonly steps: readonly StepPace[]
  readonly lettersOpen: number
  /** The number of assets that were recorded as made in a minute, of late. */
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

/** Up to this many waiting jobs are counted; if there are more, their tracks are. */
const MAX_COUNTED = 10_000

/** Reads the current state of the chain. */
export async function readBoard(database: Database, signal?: AbortSignal): Promise<Board> {
  const query = atOnce(database, signal)
  const [now] = await query<Now>(NOW)
  if (now === undefined) throw new Error('the database counts nothing')
  const waits = await query<{ lane: string; count: number }>(LANE_WAITS)
  const lanes = {
    ...{ urgent: 0, new: 0, backfill: 0 },
    ...Object.fromEntries(waits.map(({ lane, count }) => [lane, count])),
  }
  const states = await query<{ state: keyof Board['tracks']; count: number }>(STATES)
  const tracks = {
    ...{ running: 0, done: 0, partial: 0, failed: 0, cancelled: 0 },
    ...Object.fromEntries(states.map(({ state, count }) => [state, count])),
  }
  const { at, letters, begun, made } = now
  const waiting =
    now.waiting < MAX_COUNTED ? now.waiting : Math.max(now.waiting, tracks.running - begun)
  const scale = Math.max(1, begun / MAX_LOOKED_AT)
  const found = await query<{ progress: Progress }>(UNDER_WAY, [1 / scale, MAX_LOOKED_AT])
  const under = found.map(({ progress }) => progress)
  return {
    at,
    tracks,
    waiting,
    lanes,
    under,
    scale: under.length === 0 ? 1 : scale,
    lettersOpen: letters,
    made: Math.round(made),
    steps: await query<StepPace>(STEPS, [at]),
    minutes: await query<Board['minutes'][number]>(MINUTES, [at]),
  }
}

interface Now {
  readonly at: Date
  readonly letters: number
  readonly waiting: number
  readonly begun: number
  readonly made: number
}

// Of the minute before the current one the share that is less than 60 s ago.
const NOW = {
  name: 'board-now',
  text: `
    select clock_timestamp() as at,
      (select count(*) from dead_letter where state = 'open') as letters,
      (select count(*) from (select from watch where not begun limit ${MAX_COUNTED}) as jobs) as waiting,
      (select count(*) from watch where begun) as begun,
      (select coalesce(sum(made * case when minute = date_trunc('minute', now()) then 1
          else 1 - extract(second from now()) / 60 end), 0)::double precision
        from minute_count
        where minute >= date_trunc('minute', now()) - interval '1 minute') as made`,
}

// A queue is a route, and with a dot its lane.
const LANE_WAITS = {
  name: 'board-lanes',
  text: `
    with recursive ${WAITING_ROUTES}, counted as (
      select route, (select count(*) from (
        select from watch where not begun and watch.route = routes.route limit ${MAX_COUNTED}) as jobs) as count
      from routes where route is not null
    )
    select coalesce(nullif(split_part(route, '.', 2), ''), '${DEFAULT_LANE}') as lane,
      least(sum(count), ${MAX_COUNTED})::int as count
    from counted group by 1`,
}

const STATES = {
  name: 'board-states',
  text: `
    select value as state, sum(count)::bigint as count
    from kept_count where kind = 'state' group by value`,
}

const UNDER_WAY = {
  name: 'board-under-way',
  text: `
    select progress from (
      select job from watch where begun and random() < $1 limit $2
    ) as begun join job on job.id = begun.job and job.ended_at is null
    cross join lateral (${PROGRESS}) progress`,
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
    select minute as at, sum(made)::bigint as made, sum(failed)::bigint as failed
    from minute_count
    where minute >= date_trunc('minute', $1::timestamptz) - interval '59 minutes'
    group by 1 order by 1`,
}
