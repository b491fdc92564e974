/** Samples of a block: 4 MiB. */
export const BLOCK_SAMPLES = 1 << 20

/**
 * Blocks of samples that are used again by the next step, so that not every track asks the system for 80 MB of fresh
 * memory and gives it back: docs/performance.md has what is known of the gain.
 */
export class BlockPool {
  readonly #most: number
  readonly #free: Int16Array<ArrayBuffer>[] = []

  /** @param most Blocks that are kept at most while nobody needs them. */
  constructor(most: number) {
    this.#most = most
  }

  /** A block with anything in it. */
  take(): Int16Array<ArrayBuffer> {
    return this.#free.pop() ?? new Int16Array(2 * BLOCK_SAMPLES)
  }

  /** Takes a block back that nobody will look at again. */
  give(block: Int16Array<ArrayBuffer>): void {
    if (this.#free.length < this.#most) this.#free.push(block)
  }
}
