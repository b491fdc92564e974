/** Number of bytes at the end of a Vorbis setup header that are sure to contain its modes. */
export const MODES_BYTES = 400

const MAX_MODES = 64
/** Fields of a mode, bits: the flag of a long block, window, transform, mapping. */
const MODE_BITS = [1, 16, 16, 8] as const
const COUNT_BITS = 6

/**
 * Which modes of a Vorbis stream have long blocks, from the end of its setup header; undefined if it does not
 * show. The modes come last, and what precedes them could only be skipped by decoding it, so they are read
 * backwards. Source: the Vorbis I specification, 4.2.4; read backwards as in FFmpeg,
 * libavcodec/vorbis_parser.c.
 */
export function longModes(setup: Uint8Array): readonly boolean[] | undefined {
  let bit = 8 * setup.length
  /** Reads the number whose last bit precedes `bit`, towards the beginning. */
  const back = (bits: number) => {
    let value = 0
    for (let n = 0; n < bits; n++) {
      bit--
      value = 2 * value + (((setup[bit >> 3] ?? 0) >> (bit & 7)) & 1)
    }
    return value
  }
  // Skip the framing bit and the zeros that pad its byte.
  while (bit > 0 && back(1) === 0);
  const flags: boolean[] = []
  let found: readonly boolean[] | undefined
  const [flag, window, transform, mapping] = MODE_BITS
  while (flags.length < MAX_MODES && bit >= flag + window + transform + mapping + COUNT_BITS) {
    if (back(mapping) >= MAX_MODES || back(transform) !== 0 || back(window) !== 0) break
    flags.unshift(back(flag) === 1)
    const here = bit
    if (back(COUNT_BITS) + 1 === flags.length) found = [...flags]
    bit = here
  }
  return found
}
