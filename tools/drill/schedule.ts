import { between, type Random, seeded, shuffled } from './random.ts'

/** What a drill may do to a chain beside killing. */
export const OTHERS = ['term', 'stop', 'copies'] as const
type Other = (typeof OTHERS)[number]
export type Kind = 'kill' | Other

/** One disturbance. */
export interface Act {
  /** Since the one before it, ms. */
  readonly afterMs: number
  readonly kind: Kind
  /** The processes that may be its victim: the first of them that is running is. */
  readonly order: readonly string[]
  /** Every running process is, as in a power cut. */
  readonly all?: true
  /** Of a `stop`: for how long, ms. */
  readonly stopMs?: number
  /** Of `copies`: how many messages are published again. */
  readonly copies?: number
}

export interface ScheduleOptions {
  readonly seed: number
  /** Instants at which something is killed. */
  readonly kills: number
  /** Between two of these, on average, ms. */
  readonly everyMs: number
  /** What else is done. */
  readonly also: readonly Other[]
}

/** How often each is chosen: those that compute are killed most, as they are on a Spot fleet. */
const WEIGHTS: Readonly<Record<string, number>> = {
  ...{ ingest: 1, stage: 2, analyze: 3, encode: 3, publish: 2 },
  ...{ pubsub: 1, database: 1 },
}
const ALL = Object.keys(WEIGHTS)
/** PostgreSQL would wait for its clients to go, and a stopped first process of its own stops nothing. */
const NOT_DATABASE = ALL.filter((name) => name !== 'database')
/** One kill in so many is of everything at once. */
const KILLS_OF_ALL = 25
/** Before one kill in so many there is also one of these. */
const OFTEN: Readonly<Record<Other, number>> = { term: 10, stop: 40, copies: 3 }
/** Past the lease of a message, which is 20 s. */
const STOP_MS = [22_000, 26_000] as const
const MAX_COPIES = 12

/** What is to be done, one after the other: the same seed gives the same. */
export function schedule({ seed, kills, everyMs, also }: ScheduleOptions): readonly Act[] {
  const random = seeded(seed)
  const acts: Act[] = []
  for (let kill = 0; kill < kills; kill++) {
    // All numbers are drawn whatever is wanted, so that the kills stay the same.
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
