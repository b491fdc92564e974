import { scheduledThread } from './scheduled.ts'

const EVERY_MS = 500

/**
 * How long the event loop of this process could not run although it wanted to: other programs had the cores, or the
 * process was suspended. Only measured while somebody watches.
 */
export class LostTime {
  #watching = 0
  #ms = 0
  #timer: NodeJS.Timeout | undefined
  #due = 0
  #coreMs = 0
  #waitedMs: number | undefined

  /** Begins to watch. What is returned ends it. */
  watch(): () => void {
    if (this.#watching++ === 0) {
      this.#look()
      this.#timer = setInterval(() => this.#tick(), EVERY_MS).unref()
    }
    return () => {
      if (--this.#watching === 0) clearInterval(this.#timer)
    }
  }

  get ms(): number {
    return this.#ms
  }

  #tick(): void {
    const [due, coreMs, waitedMs] = [this.#due, this.#coreMs, this.#waitedMs]
    this.#look()
    const late = performance.now() - due - (this.#coreMs - coreMs)
    const waited = (this.#waitedMs ?? 0) - (waitedMs ?? 0)
    this.#ms += Math.max(0, late, waited)
  }

  #look(): void {
    const { user, system } = process.threadCpuUsage()
    this.#coreMs = (user + system) / 1000
    this.#waitedMs = scheduledThread(`self/task/${process.pid}`)?.waitedMs
    this.#due = performance.now() + EVERY_MS
  }
}
