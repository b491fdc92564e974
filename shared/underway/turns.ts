/**
 * Who may work at once in a process: everybody, except beside somebody who has to be alone. Whoever has to be waits
 * for those who work, and those who come later wait for it.
 */
export class Turns {
  #working = 0
  /** Resolves when those who have to be alone have been. */
  #alone: Promise<void> = Promise.resolve()
  #quiet: () => void = () => {}

  /** Waits until one may work beside others. What is returned ends it. */
  async beside(): Promise<() => void> {
    for (let seen: Promise<void> | undefined; seen !== this.#alone; ) {
      seen = this.#alone
      await seen
    }
    this.#working++
    return () => {
      if (--this.#working === 0) this.#quiet()
    }
  }

  /** Waits until nobody works. What is returned ends it. Not for somebody who works already. */
  async alone(): Promise<() => void> {
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
}
