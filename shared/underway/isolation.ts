import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_MS = 100

interface IsolationOptions {
  /** Nobody else is about to begin when nobody has worked for so long, ms: what the process before had leased is back. */
  readonly quietMs?: number
  /** How long others are let pass, ms. */
  readonly mostMs?: number
}

/**
 * Who may work at once in a process: everybody, except beside somebody who has to be alone. Whoever has to be lets
 * others pass until there is quiet; then those who come later wait for it.
 */
export class Isolation {
  readonly #quietMs: number
  readonly #mostMs: number
  #working = 0
  #endedAt = performance.now()
  /** Resolves when those who have to be alone have been. */
  #alone: Promise<void> = Promise.resolve()
  #quiet: () => void = () => {}

  constructor({ quietMs = 10_000, mostMs = 30_000 }: IsolationOptions = {}) {
    this.#quietMs = quietMs
    this.#mostMs = mostMs
  }

  /** Waits until one may work beside others. What is returned ends it. */
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

  /** Waits until nobody works. What is returned ends it. Not for somebody who works already. */
  async alone(): Promise<() => void> {
    const began = performance.now()
    while (!this.#isQuiet() && performance.now() - began < this.#mostMs) await sleep(LOOK_MS)
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
