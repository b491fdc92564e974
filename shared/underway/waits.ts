/** Measures how long at least one of several waits has been pending, ms. */
export class Waits {
  #pending = 0
  #since = 0
  #ms = 0

  /** Begins a wait. The caller has to call `end` once. */
  begin(): void {
    if (this.#pending++ === 0) this.#since = performance.now()
  }

  /** Ends a wait. */
  end(): void {
    // A body that is abandoned in the middle of a write has ended the wait already.
    if (this.#pending === 0) return
    if (--this.#pending === 0) this.#ms += performance.now() - this.#since
  }

  /** Waits for `act`, and measures it. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    this.begin()
    try {
      return await act()
    } finally {
      this.end()
    }
  }

  /** The total so far, pending waits included, ms. */
  get ms(): number {
    return this.#ms + (this.#pending > 0 ? performance.now() - this.#since : 0)
  }
}
