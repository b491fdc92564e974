import type { Lost, LostTime } from './lost-time.ts'
import { isTold, type Scheduled } from './scheduled.ts'
import { Waits } from './waits.ts'

const EVERY_MS = 500

/** How a stretch of time was spent, ms. */
export interface Spent {
  readonly wallMs: number
  /** Waiting for a store. */
  readonly storeMs: number
  /** Waiting for a core, which other programs had, or for its turn. */
  readonly starvedMs: number
  /**
   * The rest, for which nobody else can be blamed; at least the core time of the child processes and worker threads,
   * which may compute while the store is waited for.
   */
  readonly ownMs: number
  /**
   * On a core: its child processes and worker threads, and its share of what the main thread did. Where the system
   * does not tell, as much as `ownMs`.
   */
  readonly coreMs: number
  /** Of `coreMs` the child processes and worker threads. */
  readonly helpersMs: number
  /** How long the event loop was busy, be it for others. */
  readonly busyMs: number
  /** Whether a helper begins of which the system has told nothing yet, so that it may be waiting for a core. */
  readonly isUnseen: boolean
}

/** A moment of `OwnTime`. */
export interface Moment {
  readonly at: number
  readonly storeMs: number
  readonly turnMs: number
  readonly lost: Lost
  /** Of child processes and worker threads. */
  readonly waitedMs: number
  readonly coreMs: number
}

/** What a step has spent of its time itself, and what it has waited for others. */
export class OwnTime {
  /** For a store. */
  readonly store = new Waits()
  /** For its turn, while others compute. */
  readonly turn = new Waits()
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
    const lost = this.#lost.now()
    const [storeMs, turnMs] = [this.store.ms, this.turn.ms]
    return { at: performance.now(), storeMs, turnMs, lost, waitedMs, coreMs }
  }

  /** What was spent since a moment. */
  since(then: Moment): Spent {
    const now = this.now()
    const wallMs = now.at - then.at
    const storeMs = now.storeMs - then.storeMs
    const lostMs = this.#lost.since(then.lost) + now.waitedMs - then.waitedMs
    const starvedMs = Math.min(wallMs, lostMs + now.turnMs - then.turnMs)
    const helpersMs = now.coreMs - then.coreMs
    const ownMs = Math.max(0, helpersMs, wallMs - storeMs - starvedMs)
    const busyMs = now.lost.busyMs - then.lost.busyMs
    const isUnseen = [...this.#meters].some(({ isSeen }) => !isSeen)
    const common = { wallMs, storeMs, starvedMs, ownMs, busyMs, isUnseen }
    if (!isTold()) return { ...common, coreMs: ownMs, helpersMs: ownMs }
    return { ...common, coreMs: helpersMs + now.lost.shareMs - then.lost.shareMs, helpersMs }
  }

  #look(): void {
    for (const meter of this.#meters) meter.look()
  }
}

class Meter {
  isSeen = false
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
    this.isSeen = true
    this.coreMs = seen.coreMs - (this.#first?.coreMs ?? 0)
    this.waitedMs = seen.waitedMs - (this.#first?.waitedMs ?? 0)
  }
}
