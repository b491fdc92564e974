import type { MpegFrame } from './frame.ts'

/**
 * Detects missing or wrong frames of layer III by the bits that each frame takes from frames before it: the
 * bits of two frames may not overlap. This finds half of all losses, but none of frames whose bits no other
 * frame uses. Source: ISO/IEC 11172-3, 2.4.1.7 and 2.4.2.7 (main_data_begin, part2_3_length); 13818-3, 2.4.1.7.
 */
export class Reservoir {
  /** Number of overlaps. */
  overlaps = 0
  /** Number of frames before the first overlap. */
  firstAfter: number | undefined
  /** Number of bytes that the first frame needs from frames before it, none of which are there. */
  lacking = 0
  #frames = 0
  #isFirst = true
  #hasTag = false
  /**
   * Number of bytes of all frames so far without their headers, and the position among them at which the data
   * of the last frame ends.
   */
  #come = 0
  #end = 0

  /**
   * Call this when something lies before the next frame, which may then belong to another stream.
   * @param isTag whether it is a frame without music: programs that cut a stream put there what its first frame needs
   */
  again(isTag = false): void {
    this.#isFirst = true
    this.#hasTag ||= isTag
  }

  /** Adds the whole frame at `at`. */
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
    if (this.#frames === 0 && !this.#hasTag && taken > 0) this.lacking = begin
    // The first frame may need data that is not there.
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
