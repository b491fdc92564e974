/** Runs `work` on items in the order in which they were added, at most `concurrency` at a time. */
export class WorkQueue<T> {
  readonly #concurrency: number
  readonly #work: (item: T) => Promise<void>
  readonly #failed: (item: T, error: Error) => void
  readonly #waiting: T[] = []
  #running = 0

  /** @param failed Called with an item and the error that `work` threw for it. */
  constructor(
    concurrency: number,
    work: (item: T) => Promise<void>,
    failed: (item: T, error: Error) => void,
  ) {
    this.#concurrency = concurrency
    this.#work = work
    this.#failed = failed
  }

  add(item: T): void {
    if (this.#running < this.#concurrency) this.#run(item)
    else this.#waiting.push(item)
  }

  /** Removes and returns the items whose work has not started. */
  clear(): T[] {
    return this.#waiting.splice(0)
  }

  async #run(item: T): Promise<void> {
    this.#running++
    for (let next: T | undefined = item; next !== undefined; next = this.#waiting.shift()) {
      try {
        await this.#work(next)
      } catch (error) {
        this.#failed(next, error as Error)
      }
    }
    this.#running--
  }
}
