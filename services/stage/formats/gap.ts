import { masterAt } from './looks-like.ts'
import { APE_BYTES, ID3V1_BYTES, tagBytes, tagBytesBefore } from './tag-bytes.ts'

/** What lies between two frames, or behind the last one. */
type GapVerdict =
  /** Tags, zeros and blanks: no music is missing. */
  | { readonly kind: 'filling'; readonly isBlank: boolean }
  /** Another master begins at byte `at` of the gap. */
  | { readonly kind: 'master'; readonly name: string; readonly at: number }
  /** Bytes that are not a frame, from byte `at` of the gap on, including zeros before them. */
  | { readonly kind: 'unknown'; readonly at: number }

/** Number of bytes that are needed to recognize a tag or a master by its beginning. */
const HEAD_BYTES = 64
/** Number of bytes that are needed to recognize tags by their end: an ID3v1 tag, and a footer before it. */
const TAIL_BYTES = ID3V1_BYTES + APE_BYTES
/** Number of bytes of a gap that are searched for a tag that says whether the loudness was changed. */
const FIRST_BYTES = 4096

/** Examines a gap while it streams past. Each byte is examined once, whatever the pieces. */
export class Gap {
  bytes = 0
  /** Remaining bytes of the tag that is being skipped. */
  #skip = 0
  #held: Buffer = Buffer.alloc(0)
  #isBlank = true
  #unknownAt: number | undefined
  #master: string | undefined
  #first: Buffer = Buffer.alloc(0)
  #tail: Buffer = Buffer.alloc(0)

  add(piece: Uint8Array): void {
    this.bytes += piece.length
    const most = FIRST_BYTES - this.#first.length
    if (most > 0) this.#first = Buffer.concat([this.#first, piece.subarray(0, most)])
    this.#tail = Buffer.concat([this.#tail, piece.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES)
    if (this.#unknownAt !== undefined) return
    const passed = Math.min(this.#skip, piece.length)
    this.#skip -= passed
    this.#held = Buffer.concat([this.#held, piece.subarray(passed)])
    this.#look(HEAD_BYTES)
  }

  /** Whether a tag says that the loudness of the frames was changed after they were encoded. */
  get isRegained(): boolean {
    return this.#first.includes('MP3GAIN_')
  }

  /** The verdict. Call it once the whole gap has been added. */
  verdict(): GapVerdict {
    this.#look(1)
    const at = this.#unknownAt
    if (at === undefined || tagsBytes(this.#tail) >= this.bytes - at) {
      return { kind: 'filling', isBlank: at === undefined && this.#isBlank }
    }
    const name = this.#master
    if (name !== undefined) return { kind: 'master', name, at }
    return { kind: 'unknown', at: this.#isBlank ? 0 : at }
  }

  /** Skips tags and blanks while at least `least` bytes are held. */
  #look(least: number): void {
    const held = this.#held
    let at = 0
    while (held.length - at >= least && this.#unknownAt === undefined) {
      if (isBlank(held[at]) && !isBoxAt(held, at)) {
        at++
        continue
      }
      const master = masterAt(held, at)
      const tag = master === undefined ? tagBytes(held, at) : undefined
      if (tag === undefined) {
        this.#unknownAt = this.bytes - (held.length - at)
        this.#master = master
      } else {
        this.#isBlank = false
        this.#skip = Math.max(0, tag - (held.length - at))
        at = Math.min(held.length, at + tag)
      }
    }
    this.#held = held.subarray(at)
  }
}

export function isBlank(byte: number | undefined): boolean {
  return byte === 0 || byte === 0x20
}

/** Whether a `ftyp` box begins here. Its first bytes are its size, which begins with zeros. */
export function isBoxAt(held: Buffer, at: number): boolean {
  return held[at + 4] === 0x66 && held.toString('latin1', at + 4, at + 8) === 'ftyp'
}

/** The total length of the tags at the end of these bytes: an ID3v1 tag, and another one before it. */
function tagsBytes(tail: Buffer): number {
  const last = tagBytesBefore(tail) ?? 0
  if (last !== ID3V1_BYTES) return last
  return last + (tagBytesBefore(tail.subarray(0, tail.length - last)) ?? 0)
}
