import { setTimeout as sleep } from 'node:timers/promises'

/** The interval at which `alone` checks for quiet, ms. */
const CHECK_MS = 100

interface IsolationOptions {
  /**
   * After this long without work, no other work is about to begin, ms: messages that a previous process had leased have
   * come back by then. Default: 10,000.
   */
  readonly quietMs?: number
  /** How long `alone` lets other work go first, ms. Default: 30,000. */
  readonly mostMs?: number
}

/**
 * Which work may run at once in a process: all of it, except beside work that has to be alone. Such work lets other
 * work go first until there is quiet; from then on, work that comes later waits for it.
 */
export class Isolation {
  readonly #quietMs: number
  readonly #mostMs: number
  #working = 0
  #endedAt = performance.now()
  /** Resolves when all work that had to be alone has ended. */
  #alone: Promise<void> = Promise.resolve()
  #quiet: () => void = () => {}

  constructor({ quietMs = 10_000, mostMs = 30_000 }: IsolationOptions = {}) {
    this.#quietMs = quietMs
    this.#mostMs = mostMs
  }

  /** Waits until work may run beside other work. Call the returned function at the end of the work. */
  async beside(): Promise<() => void> {
    for (let seen: Promise<void> | undefined; seen !== this.#alone; ) {
      seen = this.#alone
      await seen
    }
    this.#working++
    return () => {
      this.#endedAt = performance.now()
      if (--this.#working === 0) this.#quiet()
    }
  }

  /** Waits until no other work runs. Call the returned function at the end. Running work must not call this. */
  async alone(): Promise<() => void> {
    const began = performance.now()
    while (!this.#isQuiet() && performance.now() - began < this.#mostMs) await sleep(CHECK_MS)
    const before = this.#alone
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#alone = before.then(() => promise)
    await before
    if (this.#working > 0) {
      await new Promise<void>((quiet) => {
        this.#quiet = quiet
      })
    }
    return resolve
  }

  #isQuiet(): boolean {
    return this.#working === 0 && performance.now() - this.#endedAt >= this.#quietMs
  }
}
