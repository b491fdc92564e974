/** Works off what comes in, in order, so many at a time. */
export class Intake<T> {
  readonly #concurrency: number
  readonly #work: (item: T) => Promise<void>
  readonly #failed: (item: T, error: Error) => void
  readonly #waiting: T[] = []
  #running = 0

  /** `failed` is told of what `work` throws. */
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

  /** Takes out what has not been started. */
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
