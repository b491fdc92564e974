import type { LostTime } from './lost-time.ts'
import type { Scheduled } from './scheduled.ts'
import { Waits } from './waits.ts'

const EVERY_MS = 500

/** How a stretch of time was spent, ms. */
export interface Spent {
  readonly wallMs: number
  /** Waiting for a store. */
  readonly storeMs: number
  /** Waiting for a core, which other programs had. */
  readonly starvedMs: number
  /**
   * The rest, for which nobody else can be blamed; at least the core time of the child processes and worker threads,
   * which may compute while the store is waited for.
   */
  readonly ownMs: number
}

/** A moment of `OwnTime`. */
export interface Moment {
  readonly at: number
  readonly storeMs: number
  readonly starvedMs: number
  readonly coreMs: number
}

/** What a step has spent of its time itself, and what it has waited for others. */
export class OwnTime {
  /** For a store. */
  readonly store = new Waits()
  readonly #lost: LostTime
  readonly #meters = new Set<Meter>()
  #timer: NodeJS.Timeout | undefined
  /** Of those that have ended. */
  #coreMs = 0
  #waitedMs = 0

  constructor(lost: LostTime) {
    this.#lost = lost
  }

  /** Counts a child process or worker thread as the step's, until what is returned is called. */
  measure(look: () => Scheduled | undefined): () => void {
    const meter = new Meter(look)
    this.#meters.add(meter)
    // The last look has to be at one that is still alive.
    this.#timer ??= setInterval(() => this.#look(), EVERY_MS).unref()
    return () => {
      meter.look()
      this.#coreMs += meter.coreMs
      this.#waitedMs += meter.waitedMs
      this.#meters.delete(meter)
      if (this.#meters.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
    }
  }

  now(): Moment {
    this.#look()
    let [coreMs, waitedMs] = [this.#coreMs, this.#waitedMs]
    for (const meter of this.#meters) {
      coreMs += meter.coreMs
      waitedMs += meter.waitedMs
    }
    const starvedMs = this.#lost.ms + waitedMs
    return { at: performance.now(), storeMs: this.store.ms, starvedMs, coreMs }
  }

  /** What was spent since a moment. */
  since(then: Moment): Spent {
    const now = this.now()
    const wallMs = now.at - then.at
    const storeMs = now.storeMs - then.storeMs
    const starvedMs = Math.min(wallMs, now.starvedMs - then.starvedMs)
    const ownMs = Math.max(0, now.coreMs - then.coreMs, wallMs - storeMs - starvedMs)
    return { wallMs, storeMs, starvedMs, ownMs }
  }

  #look(): void {
    for (const meter of this.#meters) meter.look()
  }
}

class Meter {
  coreMs = 0
  waitedMs = 0
  readonly #lookAt: () => Scheduled | undefined
  readonly #first: Scheduled | undefined

  constructor(look: () => Scheduled | undefined) {
    this.#lookAt = look
    this.#first = look()
  }

  look(): void {
    const seen = this.#lookAt()
    if (seen === undefined) return
    this.coreMs = seen.coreMs - (this.#first?.coreMs ?? 0)
    this.waitedMs = seen.waitedMs - (this.#first?.waitedMs ?? 0)
  }
}
