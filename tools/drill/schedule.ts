import { perStage, STAGE_SPECS } from '#shared/contracts/stages.ts'
import { between, type Random, seeded, shuffled } from './random.ts'

/** Disturbances besides killing. */
export const OTHERS = ['term', 'stop', 'copies'] as const
type Other = (typeof OTHERS)[number]
export type Kind = 'kill' | Other

/** One disturbance. */
export interface Act {
  /** Time since the previous one, ms. */
  readonly afterMs: number
  readonly kind: Kind
  /** The processes that it may hit, in order: it hits the first that is running. */
  readonly order: readonly string[]
  /** Whether it hits every running process, as a power cut does. */
  readonly all?: true
  /** Of a `stop`: its duration, ms. */
  readonly stopMs?: number
  /** Of `copies`: how many messages are published again. */
  readonly copies?: number
}

export interface ScheduleOptions {
  readonly seed: number
  /** Number of instants at which something is killed. */
  readonly kills: number
  /** Mean time between two kills, ms. */
  readonly everyMs: number
  /** The disturbances besides killing. */
  readonly also: readonly Other[]
}

/** Weights of the victims. Services that compute are killed most, as on a Spot fleet. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ingest: 1,
  ...perStage((stage) => STAGE_SPECS[stage].weight),
  publish: 2,
  pubsub: 1,
  database: 1,
}
const ALL = Object.keys(WEIGHTS)
/**
 * Victims of SIGTERM and SIGSTOP. Not the database: it would wait for its clients to disconnect, and its stopped first
 * process stops nothing.
 */
const NOT_DATABASE = ALL.filter((name) => name !== 'database')
/** Every 25th kill, on average, is of everything at once. */
const KILLS_OF_ALL = 25
/** Of each kind: before one kill in this many, on average, there is also one of these. */
const OFTEN: Readonly<Record<Other, number>> = { term: 10, stop: 40, copies: 3 }
/** Shortest and longest stop, ms: longer than the lease of a message, which is 20 s. */
const STOP_MS = [22_000, 26_000] as const
const MAX_COPIES = 12

/** The disturbances in their order: the same seed gives the same schedule. */
export function schedule({ seed, kills, everyMs, also }: ScheduleOptions): readonly Act[] {
  const random = seeded(seed)
  const acts: Act[] = []
  for (let kill = 0; kill < kills; kill++) {
    // All numbers are drawn whether or not they are used, so that the kills do not depend on `also`.
    const others = OTHERS.map((kind) => ({
      isWanted: also.includes(kind),
      isDue: random() < 1 / OFTEN[kind],
      act: { afterMs: between(random, 0, everyMs / 2), ...other(random, kind) },
    }))
    const due = others.filter(({ isDue, isWanted }) => isDue && isWanted)
    acts.push(...due.map(({ act }) => act))
    const afterMs = between(random, 0.1, 1.9) * everyMs
    const order = shuffled(random, ALL, weight)
    const isOfAll = random() < 1 / KILLS_OF_ALL
    acts.push({ afterMs, kind: 'kill', order, ...(isOfAll ? { all: true } : {}) })
  }
  return acts
}

function other(random: Random, kind: Other): Omit<Act, 'afterMs'> {
  const order = shuffled(random, NOT_DATABASE, weight)
  const stopMs = Math.round(between(random, ...STOP_MS))
  const copies = Math.ceil(random() * MAX_COPIES)
  if (kind === 'stop') return { kind, order, stopMs }
  return kind === 'term' ? { kind, order } : { kind, order: [], copies }
}

function weight(name: string): number {
  return WEIGHTS[name] ?? 1
}
