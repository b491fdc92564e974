import { scheduledThread } from './scheduled.ts'

/** Short, because what stops a process may do so in short turns. */
const EVERY_MS = 20
/** A timer that is no later than this is on time, ms. */
const ON_TIME_MS = 10
/** The system is asked this often at most, ms: short steps, of which there are thousands, do not wait for long. */
const ASK_MS = 250

/** What was lost so far, ms, as each of the two ways has it, and what was done. */
export interface Lost {
  readonly lateMs: number
  readonly waitedMs: number
  /** How long the event loop was busy, on a core or not. */
  readonly busyMs: number
  /** The share of one of those who watch of the main thread's core time: nobody knows better whose it was. */
  readonly shareMs: number
}

/**
 * How long the event loop of this process could not run although it wanted to: other programs had the cores, or the
 * process was suspended. Told by how late its timers are, less what it computed itself, and by the system where that
 * tells more. Only measured while somebody watches.
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

  /** Begins to watch. What is returned ends it. */
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

  /** Up to now. */
  now(): Lost {
    const late = this.#watching === 0 ? 0 : this.#lateNow()
    const shareMs = this.#share()
    const lateMs = this.#lateMs + late
    const { active: busyMs } = performance.eventLoopUtilization()
    return { lateMs, waitedMs: this.#waitedMs(), busyMs, shareMs }
  }

  /** What was lost since a moment, ms. */
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

  /** Of what was computed since the last time. What is computed while nobody watches is nobody's. */
  #share(): number {
    const now = coreMs()
    if (this.#watching > 0) this.#shareMs += (now - this.#sharedMs) / this.#watching
    this.#sharedMs = now
    return this.#shareMs
  }

  /** As the system tells it, since the process began. */
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

/** Of the main thread. */
function coreMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
