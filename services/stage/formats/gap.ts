import { masterAt } from './looks-like.ts'
import { APE_BYTES, ID3V1_BYTES, tagBytes, tagBytesBefore } from './tag-bytes.ts'

/** What lies between two frames, or behind the last. */
type GapVerdict =
  /** Tags, zeros and blanks: nothing is missing. */
  | { readonly kind: 'filling'; readonly isBlank: boolean }
  /** Another master begins in it, at its byte `at`. */
  | { readonly kind: 'master'; readonly name: string; readonly at: number }
  /** Something that is no frame, from its byte `at` on, zeros before it included. */
  | { readonly kind: 'unknown'; readonly at: number }

/** What has to be held to tell a tag or a master by its beginning. */
const HEAD_BYTES = 64
/** The same of a tag that ends what is looked at: an ID3v1 tag, and a footer before it. */
const TAIL_BYTES = ID3V1_BYTES + APE_BYTES
/** How much of a gap is searched for what a tag says of the music. */
const FIRST_BYTES = 4096

/** Looks at a gap as it passes, piece by piece: each byte once, whatever the pieces. */
export class Gap {
  bytes = 0
  /** Of the tag that is being passed over. */
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

  /** Whether a tag tells that the loudness of the frames was changed after they were made. */
  get isRegained(): boolean {
    return this.#first.includes('MP3GAIN_')
  }

  /** Once all of it has come. */
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

  /** Goes on over tags and blanks as long as `least` bytes are held. */
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

/** A file of boxes begins with a size, and that with zeros. */
export function isBoxAt(held: Buffer, at: number): boolean {
  return held[at + 4] === 0x66 && held.toString('latin1', at + 4, at + 8) === 'ftyp'
}

/** How long the tags are that these bytes end with: an ID3v1 tag, and another before it. */
function tagsBytes(tail: Buffer): number {
  const last = tagBytesBefore(tail) ?? 0
  if (last !== ID3V1_BYTES) return last
  return last + (tagBytesBefore(tail.subarray(0, tail.length - last)) ?? 0)
}
