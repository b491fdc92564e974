/** How long somebody has waited for any of several things at once, ms. */
export class Waits {
  #pending = 0
  #since = 0
  #ms = 0

  /** Something is waited for. Whoever calls this calls `end` once. */
  begin(): void {
    if (this.#pending++ === 0) this.#since = performance.now()
  }

  end(): void {
    // A body that is given up in the midst of a write has ended the wait already.
    if (this.#pending === 0) return
    if (--this.#pending === 0) this.#ms += performance.now() - this.#since
  }

  async during<T>(act: () => Promise<T>): Promise<T> {
    this.begin()
    try {
      return await act()
    } finally {
      this.end()
    }
  }

  /** So far, what is still waited for included. */
  get ms(): number {
    return this.#ms + (this.#pending > 0 ? performance.now() - this.#since : 0)
  }
}
