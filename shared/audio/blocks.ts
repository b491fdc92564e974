/** Samples of a block: 4 MiB. */
export const BLOCK_SAMPLES = 1 << 20

/**
 * Blocks of samples that are used again by the next step. Getting 80 MB of fresh memory from the system for every
 * track, and giving it back, costs as much as reading a file into it does, and several times that on a virtual machine.
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
