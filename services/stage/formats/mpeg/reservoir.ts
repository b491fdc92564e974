import type { MpegFrame } from './frame.ts'

/**
 * Whether frames of layer III are missing between others, or wrong, by the bits that each takes from those before it: what two
 * frames take may not overlap. Half of all losses show so; of frames that no others need, none does.
 * Source: ISO/IEC 11172-3, 2.4.1.7 and 2.4.2.7 (main_data_begin, part2_3_length); 13818-3, 2.4.1.7.
 */
export class Reservoir {
  /** How often. */
  overlaps = 0
  /** How many frames come before the first time. */
  firstAfter: number | undefined
  #frames = 0
  #isFirst = true
  /** Bytes of all frames so far without their headers, and where the data of the last one ends among them. */
  #come = 0
  #end = 0

  /** Something stands before the next frame: it need not be of the same stream. */
  again(): void {
    this.#isFirst = true
  }

  /** The frame at `at`, whole. */
  add(bytes: Uint8Array, at: number, { channels, samples, bytes: length }: MpegFrame): void {
    const isFirstVersion = samples === 1152
    const side = at + (((bytes[at + 1] ?? 0) & 1) === 0 ? 6 : 4)
    const isMono = channels === 1
    const sideBytes = isFirstVersion ? (isMono ? 17 : 32) : isMono ? 9 : 17
    const bits = (from: number, count: number) => {
      let value = 0
      for (let i = from; i < from + count; i++)
        value = value * 2 + (((bytes[side + (i >> 3)] ?? 0) >> (7 - (i & 7))) & 1)
      return value
    }
    const begin = bits(0, isFirstVersion ? 9 : 8)
    const granules = isFirstVersion ? 2 : 1
    let next = isFirstVersion ? (isMono ? 18 : 20) : isMono ? 9 : 10
    let taken = 0
    for (let n = 0; n < granules * channels; n++, next += isFirstVersion ? 59 : 63)
      taken += bits(next, 12)
    const start = this.#come - begin
    // Before the first frame there may be more than is there.
    if (start < this.#end && !this.#isFirst) {
      this.overlaps++
      this.firstAfter ??= this.#frames
    }
    this.#come += length - (side - at) - sideBytes
    const end = start + Math.ceil(taken / 8)
    this.#end = this.#isFirst ? end : Math.max(this.#end, end)
    this.#isFirst = false
    this.#frames++
  }
}
