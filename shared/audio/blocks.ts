/** The number of samples in a block: 4 MiB. */
export const BLOCK_SAMPLES = 1 << 20

/**
 * A pool of blocks of samples, which the next step reuses, so that not every track allocates and frees 80 MB of memory.
 * docs/reference/performance.md has the gain as far as it is known.
 */
export class BlockPool {
  readonly #most: number
  readonly #free: Int16Array<ArrayBuffer>[] = []

  /** @param most The maximum number of free blocks to keep. */
  constructor(most: number) {
    this.#most = most
  }

  /** Takes a block. Its content is undefined. */
  take(): Int16Array<ArrayBuffer> {
    return this.#free.pop() ?? new Int16Array(2 * BLOCK_SAMPLES)
  }

  /** Gives a block back. It must not be read or written afterwards. */
  give(block: Int16Array<ArrayBuffer>): void {
    if (this.#free.length < this.#most) this.#free.push(block)
  }
}
