import type { Lost, LostTime } from './lost-time.ts'
import { hasStatistics, type Scheduled } from './scheduled.ts'
import { Waits } from './waits.ts'

/** The interval at which helpers are sampled, ms. */
const EVERY_MS = 500

/** How a period of time was spent, ms. */
export interface Spent {
  readonly wallMs: number
  /** Waiting for a store. */
  readonly storeMs: number
  /** Waiting for a core that other programs had, or for its turn. */
  readonly starvedMs: number
  /**
   * The rest, which is the step's own; at least the core time of its child processes and worker threads, which may
   * compute while the step waits for a store.
   */
  readonly ownMs: number
  /**
   * The core time of its child processes and worker threads, and its share of that of the main thread. Equal to `ownMs`
   * if the system has no scheduler statistics.
   */
  readonly coreMs: number
  /** The part of `coreMs` that its child processes and worker threads used. */
  readonly helpersMs: number
  /** How long the event loop was busy, for this step or for others. */
  readonly busyMs: number
  /** Whether the system has no statistics yet of a helper that has just begun, which may be waiting for a core. */
  readonly isUnseen: boolean
}

/** A snapshot of the totals of an `OwnTime`, ms. */
export interface Moment {
  readonly at: number
  readonly storeMs: number
  readonly turnMs: number
  readonly lost: Lost
  /** How long child processes and worker threads have waited for a core. */
  readonly waitedMs: number
  /** The core time of child processes and worker threads. */
  readonly coreMs: number
}

/** Splits the time of a step into its own time and the time that it waited for others. */
export class OwnTime {
  /** The time that it waited for a store. */
  readonly store = new Waits()
  /** The time that it waited for its turn while others computed. */
  readonly turn = new Waits()
  /** When it began to be away; undefined while it is not. */
  #left: Moment | undefined
  /** All that passed while it was away. */
  #away = NO_TIME
  readonly #lost: LostTime
  readonly #meters = new Set<Meter>()
  #timer: NodeJS.Timeout | undefined
  /** The totals of helpers that have ended, ms. */
  #coreMs = 0
  #waitedMs = 0

  constructor(lost: LostTime) {
    this.#lost = lost
  }

  /** Counts a child process or worker thread as a helper of the step, until the returned function is called. */
  measure(read: () => Scheduled | undefined): () => void {
    const meter = new Meter(read)
    this.#meters.add(meter)
    // Sampled regularly, because a helper that has ended has no statistics any more.
    this.#timer ??= setInterval(() => this.#sample(), EVERY_MS).unref()
    return () => {
      meter.sample()
      this.#coreMs += meter.coreMs
      this.#waitedMs += meter.waitedMs
      this.#meters.delete(meter)
      if (this.#meters.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  /** The totals up to now, without the time that the step was away. */
  now(): Moment {
    return this.#left ?? combined(this.#total(), this.#away, -1)
  }

  /** Runs `act`, e.g. a wait for a core. For all totals this time has not passed. One at a time. */
  async away<T>(act: () => Promise<T>): Promise<T> {
    const left = this.#total()
    this.#left = combined(left, this.#away, -1)
    try {
      return await act()
    } finally {
      this.#left = undefined
      this.#away = combined(this.#away, combined(this.#total(), left, -1), 1)
    }
  }

  #total(): Moment {
    this.#sample()
    let [coreMs, waitedMs] = [this.#coreMs, this.#waitedMs]
    for (const meter of this.#meters) {
      coreMs += meter.coreMs
      waitedMs += meter.waitedMs
    }
    const lost = this.#lost.now()
    const [storeMs, turnMs] = [this.store.ms, this.turn.ms]
    return { at: performance.now(), storeMs, turnMs, lost, waitedMs, coreMs }
  }

  /** How the time since a moment was spent. */
  since(then: Moment): Spent {
    const now = this.now()
    const wallMs = now.at - then.at
    const storeMs = now.storeMs - then.storeMs
    const { lateMs, waitedMs } = combined(now, then, -1).lost
    const lostMs = Math.max(lateMs, waitedMs) + now.waitedMs - then.waitedMs
    const starvedMs = Math.min(wallMs, lostMs + now.turnMs - then.turnMs)
    const helpersMs = now.coreMs - then.coreMs
    const ownMs = Math.max(0, helpersMs, wallMs - storeMs - starvedMs)
    const busyMs = now.lost.busyMs - then.lost.busyMs
    const isUnseen = [...this.#meters].some(({ isSeen }) => !isSeen)
    const common = { wallMs, storeMs, starvedMs, ownMs, busyMs, isUnseen }
    if (!hasStatistics()) return { ...common, coreMs: ownMs, helpersMs: ownMs }
    return { ...common, coreMs: helpersMs + now.lost.shareMs - then.lost.shareMs, helpersMs }
  }

  #sample(): void {
    for (const meter of this.#meters) meter.sample()
  }
}

const NO_TIME: Moment = {
  at: 0,
  storeMs: 0,
  turnMs: 0,
  waitedMs: 0,
  coreMs: 0,
  lost: { lateMs: 0, waitedMs: 0, busyMs: 0, shareMs: 0 },
}

/** The sum of two moments (`sign` 1), or their difference (-1). */
function combined(a: Moment, b: Moment, sign: 1 | -1): Moment {
  return {
    at: a.at + sign * b.at,
    storeMs: a.storeMs + sign * b.storeMs,
    turnMs: a.turnMs + sign * b.turnMs,
    waitedMs: a.waitedMs + sign * b.waitedMs,
    coreMs: a.coreMs + sign * b.coreMs,
    lost: {
      lateMs: a.lost.lateMs + sign * b.lost.lateMs,
      waitedMs: a.lost.waitedMs + sign * b.lost.waitedMs,
      busyMs: a.lost.busyMs + sign * b.lost.busyMs,
      shareMs: a.lost.shareMs + sign * b.lost.shareMs,
    },
  }
}

class Meter {
  isSeen = false
  coreMs = 0
  waitedMs = 0
  readonly #read: () => Scheduled | undefined
  readonly #first: Scheduled | undefined

  constructor(read: () => Scheduled | undefined) {
    this.#read = read
    this.#first = read()
  }

  sample(): void {
    const seen = this.#read()
    if (seen === undefined) return
    this.isSeen = true
    this.coreMs = seen.coreMs - (this.#first?.coreMs ?? 0)
    this.waitedMs = seen.waitedMs - (this.#first?.waitedMs ?? 0)
  }
}
