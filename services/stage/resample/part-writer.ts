import { WAV_HEADER_BYTES, withWavHeader } from '#shared/audio/wav-part.ts'
import { BYTES_PER_SAMPLE } from '#shared/contracts/pcm-format.ts'

/** Keeps the samples [start, end), a WAV file; the bytes are the callee's only until it resolves. */
export type WritePart = (start: number, end: number, wav: Uint8Array) => Promise<void>

interface PartWriterOptions {
  /** First sample of the track that is wanted, and one past the last. */
  readonly start: number
  readonly end: number
  readonly partSamples: number
  readonly write: WritePart
}

/** Cuts what comes into WAV parts. One part is written while the next one fills, in two buffers that take turns. */
export class PartWriter {
  readonly #options: PartWriterOptions
  #end: number
  /** Bytes that are still left out at the beginning. */
  #drop: number
  #start: number
  #filling: Buffer | undefined
  #spare: Buffer | undefined
  #filled = 0
  #writing: Promise<void> = Promise.resolve()

  /** `dropSamples`: how many of what comes are before `start`. */
  constructor(options: PartWriterOptions, dropSamples: number) {
    this.#options = options
    this.#drop = dropSamples * BYTES_PER_SAMPLE
    this.#start = options.start
    this.#end = options.end
  }

  /** Moves the end, where a part ends, further. */
  goOn(end: number): void {
    this.#end = end
  }

  /** Takes 16-bit stereo, little-endian; what is behind `end` is left out. */
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

  /** Writes what is left as the last part. Answers where it ends. */
  async finish(): Promise<number> {
    if (this.#filled >= BYTES_PER_SAMPLE) await this.#flush()
    await this.#writing
    return this.#start
  }

  /** Parts are of one length but for the last, which is shorter. */
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
    // It is waited for with the next part; until then nobody would hear of its failure.
    this.#writing.catch(() => {})
  }
}
