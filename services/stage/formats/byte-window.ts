import { PermanentError } from '#shared/contracts/errors/chain.ts'

/** Reads exactly the bytes [start, end) of a master, or throws. */
type ReadRange = (start: number, end: number, signal?: AbortSignal) => Promise<Uint8Array>

/** Access to the bytes of a master by range. */
export interface ByteRanges {
  /** Size of the master, bytes. */
  readonly bytes: number
  readonly read: ReadRange
}

/**
 * Access to the bytes of a master by range, and to long ranges as a stream, without a round trip for each
 * piece.
 */
export interface MasterBytes extends ByteRanges {
  /** Streams exactly the bytes [start, end), or throws. */
  stream(start: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>
}

const WINDOW_BYTES = 16_384
/** Maximum number of bytes that are read for a header. */
const LIMIT_BYTES = 8 << 20

/** Random access to a file through one small window. It reads 8 MiB of the file at most. */
export class ByteWindow {
  readonly bytes: number
  readonly #file: ByteRanges
  readonly #signal: AbortSignal | undefined
  #start = 0
  #held: Uint8Array = new Uint8Array(0)
  #looked = 0

  constructor(file: ByteRanges, signal?: AbortSignal) {
    this.#file = file
    this.bytes = file.bytes
    this.#signal = signal
  }

  /** A new window on the same file, with a new limit. */
  again(): ByteWindow {
    return new ByteWindow(this.#file, this.#signal)
  }

  /**
   * The `length` bytes from `offset`.
   * @param what names the bytes in the error
   * @throws PermanentError MASTER_UNREADABLE when the file ends before them
   */
  async view(offset: number, length: number, what: string): Promise<DataView> {
    if (offset + length > this.bytes) {
      throw unreadable(
        offset,
        `${what} is cut off`,
        `${length} bytes, the file ends after ${Math.max(0, this.bytes - offset)}`,
      )
    }
    return this.#view(offset, length)
  }

  /** Up to `length` bytes from `offset`; fewer at the end of the file. */
  async glance(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(this.bytes, offset + length)
    if (end <= offset) return new Uint8Array(0)
    const view = await this.#view(offset, end - offset)
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  }

  async #view(offset: number, length: number): Promise<DataView> {
    if (offset < this.#start || offset + length > this.#start + this.#held.length) {
      const end = Math.min(this.bytes, offset + Math.max(length, WINDOW_BYTES))
      this.#looked += end - offset
      if (this.#looked > LIMIT_BYTES) {
        throw unreadable(
          offset,
          'the header goes on and on',
          `its end within ${LIMIT_BYTES} bytes`,
        )
      }
      this.#held = await this.#file.read(offset, end, this.#signal)
      if (this.#held.length !== end - offset) {
        throw new Error(
          `read ${this.#held.length} bytes at ${offset} of the master, not ${end - offset}`,
        )
      }
      this.#start = offset
    }
    return new DataView(this.#held.buffer, this.#held.byteOffset + offset - this.#start, length)
  }
}

/**
 * The error for an unreadable master: what is wrong, at which byte, and what was expected.
 * @param bytes the bytes found there, for the log
 */
export function unreadable(
  at: number,
  wrong: string,
  expected: string,
  bytes?: Uint8Array,
): PermanentError {
  const hex = bytes && Buffer.from(bytes.subarray(0, 16)).toString('hex')
  return new PermanentError('MASTER_UNREADABLE', `byte ${at}: ${wrong}; expected ${expected}`, {
    at: `byte ${at}`,
    ...(hex && { cause: new Error(`it begins with ${hex}`) }),
  })
}

/** Four bytes as text. Unprintable bytes become `?`. */
export function fourCc(view: DataView, offset = 0): string {
  let text = ''
  for (let i = 0; i < 4; i++) {
    const byte = view.getUint8(offset + i)
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?'
  }
  return text
}
