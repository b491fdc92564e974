import { scheduledThread } from './scheduled.ts'

/** The interval of the timer, ms. It is short, because a process may be stopped for short times only. */
const EVERY_MS = 20
/** A timer that is late by at most this counts as on time, ms. */
const ON_TIME_MS = 10
/** The system is asked at most once in this time, ms. The thousands of short steps hardly wait for a core. */
const ASK_MS = 250

/** Totals so far, ms: the lost time by each of the two methods, and the time that was used. */
export interface Lost {
  /** The lost time by late timers. */
  readonly lateMs: number
  /** The lost time by the system's scheduler statistics. */
  readonly waitedMs: number
  /** How long the event loop was busy, on a core or not. */
  readonly busyMs: number
  /** The core time of the main thread, divided by the number of watchers, because the real shares are unknown. */
  readonly shareMs: number
}

/**
 * Measures how long the event loop of this process could not run although it wanted to, because other programs had the
 * cores or the process was suspended. It takes the greater of two values: how late timers are, less what the loop
 * computed itself, and the system's scheduler statistics. It measures only while there is a watcher.
 */
export class LostTime {
  #watching = 0
  #lateMs = 0
  #waited = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #coreMs = 0
  #shareMs = 0
  #sharedMs = 0

  /** Begins to watch. The returned function ends it. */
  watch(): () => void {
    this.#share()
    if (this.#watching++ === 0) {
      this.#begin()
      this.#timer = setInterval(() => this.#tick(), EVERY_MS).unref()
    }
    return () => {
      this.#share()
      if (--this.#watching === 0) clearInterval(this.#timer)
    }
  }

  /** The totals up to now. */
  now(): Lost {
    const late = this.#watching === 0 ? 0 : this.#lateNow()
    const shareMs = this.#share()
    const lateMs = this.#lateMs + late
    const { active: busyMs } = performance.eventLoopUtilization()
    return { lateMs, waitedMs: this.#waitedMs(), busyMs, shareMs }
  }

  /** The time that was lost since a moment, ms. */
  since(then: Lost): number {
    const { lateMs, waitedMs } = this.now()
    return Math.max(lateMs - then.lateMs, waitedMs - then.waitedMs)
  }

  #tick(): void {
    this.#lateMs += this.#lateNow()
    this.#begin()
  }

  #begin(): void {
    this.#coreMs = coreMs()
    this.#due = performance.now() + EVERY_MS
  }

  /** Adds one watcher's share of the core time since the last call. Core time without a watcher is not counted. */
  #share(): number {
    const now = coreMs()
    if (this.#watching > 0) this.#shareMs += (now - this.#sharedMs) / this.#watching
    this.#sharedMs = now
    return this.#shareMs
  }

  /** How long the main thread has waited for a core since the process began, by the system's statistics, ms. */
  #waitedMs(): number {
    const now = performance.now()
    if (now - this.#askedAt < ASK_MS) return this.#waited
    this.#askedAt = now
    this.#waited = scheduledThread(`self/task/${process.pid}`)?.waitedMs ?? 0
    return this.#waited
  }

  #lateNow(): number {
    const late = performance.now() - this.#due - (coreMs() - this.#coreMs)
    return late > ON_TIME_MS ? late : 0
  }
}

/** The core time of the main thread, ms. */
function coreMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
