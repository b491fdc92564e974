import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'

/** The description of samples in a header, which is to be checked. */
export interface Description {
  readonly encoding: PcmLayout['encoding']
  /** Bits that one number occupies. */
  readonly bits: number
  /** Bits of them that are in use according to the header. */
  readonly usedBits: number
  readonly bigEndian: boolean
  readonly channels: number
  readonly offset: number
  readonly bytes: number
}

/** Number of evenly spaced places that are read, and number of bytes at each. */
const PLACES = 16
const LOOK_BYTES = 8192
/** Minimum number of non-zero numbers that have to be examined. */
export const MIN_NUMBERS = 1000

/** A suspicion about samples, tested piece by piece. */
export interface Suspicion {
  /** Tests the next piece. Returns false if the suspicion is wrong. */
  look(piece: DataView, described: Description): boolean
  isCertain(): boolean
}

/** Whether a suspicion holds in all places and is certain then. */
export async function holds(
  window: ByteWindow,
  described: Description,
  suspicion: Suspicion,
): Promise<boolean> {
  const { offset, bytes, bits, channels } = described
  const block = (bits / 8) * channels
  let before = -1
  for (let place = 0; place < PLACES; place++) {
    const at = Math.floor((bytes * place) / PLACES / block) * block
    if (at === before) continue
    before = at
    const length = Math.min(LOOK_BYTES, bytes - at)
    const piece = await window.glance(offset + at, length - (length % block))
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length)
    if (!suspicion.look(view, described)) return false
  }
  return suspicion.isCertain()
}
