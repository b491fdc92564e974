import { WAV_HEADER_BYTES, withWavHeader } from '#shared/audio/wav-part.ts'
import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** Length of a part, samples: one minute. */
export const PART_SAMPLES = 60 * SAMPLE_RATE

/** Stores the samples [start, end) as a WAV file. The bytes may be overwritten once the promise has resolved. */
export type WritePart = (start: number, end: number, wav: Uint8Array) => Promise<void>

interface PartWriterOptions {
  /** The first wanted sample of the track, and the one past the last. */
  readonly start: number
  readonly end: number
  readonly partSamples: number
  readonly write: WritePart
}

/**
 * Cuts 16-bit stereo samples into WAV parts. One part is written while the next one is filled, in two
 * alternating buffers.
 */
export class PartWriter {
  readonly #options: PartWriterOptions
  #end: number
  /** Number of bytes to discard at the beginning. */
  #drop: number
  #start: number
  #filling: Buffer | undefined
  #spare: Buffer | undefined
  #filled = 0
  #writing: Promise<void> = Promise.resolve()

  /** @param dropSamples number of samples that arrive before `start` */
  constructor(options: PartWriterOptions, dropSamples: number) {
    this.#options = options
    this.#drop = dropSamples * BYTES_PER_SAMPLE
    this.#start = options.start
    this.#end = options.end
  }

  /** Moves the end further. `end` is the end of a part. */
  goOn(end: number): void {
    this.#end = end
  }

  /** Adds 16-bit stereo samples, little-endian. Samples behind `end` are discarded. */
  async add(piece: Uint8Array): Promise<void> {
    const { partSamples } = this.#options
    let at = Math.min(this.#drop, piece.length)
    this.#drop -= at
    while (at < piece.length && this.#start < this.#end) {
      const samples = Math.min(partSamples, this.#end - this.#start)
      const size = WAV_HEADER_BYTES + samples * BYTES_PER_SAMPLE
      const room = size - WAV_HEADER_BYTES - this.#filled
      const some = piece.subarray(at, at + room)
      this.#buffer(size).set(some, WAV_HEADER_BYTES + this.#filled)
      this.#filled += some.length
      at += some.length
      if (some.length === room) await this.#flush()
    }
  }

  /** Writes the rest as the last part. @returns where it ends, samples */
  async finish(): Promise<number> {
    if (this.#filled >= BYTES_PER_SAMPLE) await this.#flush()
    await this.#writing
    return this.#start
  }

  /** All parts have the same length, except the last, which may be shorter. */
  #buffer(size: number): Buffer {
    this.#filling ??= Buffer.allocUnsafeSlow(size)
    return this.#filling
  }

  async #flush(): Promise<void> {
    const start = this.#start
    const end = start + Math.floor(this.#filled / BYTES_PER_SAMPLE)
    const bytes = WAV_HEADER_BYTES + (end - start) * BYTES_PER_SAMPLE
    const wav = withWavHeader(this.#buffer(bytes).subarray(0, bytes))
    this.#filled = 0
    this.#start = end
    await this.#writing
    ;[this.#filling, this.#spare] = [this.#spare, this.#filling]
    this.#writing = this.#options.write(start, end, wav)
    // Awaited together with the next part. Until then a rejection must not be unhandled.
    this.#writing.catch(() => {})
  }
}
