/**
 * The share of each channel in the left and the right of a stereo mix.
 *
 * Mono goes to both sides at its full level; stereo stays as it is. More channels are mixed as in ITU-R BS.775
 * (centre and surrounds 3 dB down, no low-frequency effects), then scaled so that the loudest possible master
 * does not clip.
 * @param mask the loudspeaker mask of WAVE_FORMAT_EXTENSIBLE; with 0, or a mask that does not fit the number of
 * channels, the default order is used
 */
export function stereoMix(
  channels: number,
  mask: number,
): readonly (readonly [number, number])[] {
  if (channels === 1) return [[1, 1]]
  if (channels === 2) {
    return [
      [1, 0],
      [0, 1],
    ]
  }
  const usual = DEFAULT_MASKS[channels] ?? 0
  const speakers = speakersOf(bitsIn(mask) === channels ? mask : usual)
  const mix = Array.from({ length: channels }, (_, i) => WEIGHTS[speakers[i] ?? -1] ?? BOTH)
  const loudest = Math.max(sum(mix, 0), sum(mix, 1))
  return mix.map(([left, right]) => [left / loudest, right / loudest])
}

/** A gain of −3 dB. */
const H = Math.SQRT1_2
const BOTH = [0.5, 0.5] as const

/** The weights by bit of the mask: front left and right, centre, low frequencies, back left and right, … */
const WEIGHTS: Record<number, readonly [number, number]> = {
  0: [1, 0],
  1: [0, 1],
  2: [H, H],
  3: [0, 0],
  4: [H, 0],
  5: [0, H],
  6: [1, 0],
  7: [0, 1],
  8: BOTH,
  9: [H, 0],
  10: [0, H],
}

/** The masks of 3 to 8 channels without a mask: RFC 9639 section 9.1.3, which agrees with common WAV files. */
const DEFAULT_MASKS: Record<number, number> = {
  3: 0x7,
  4: 0x33,
  5: 0x37,
  6: 0x3f,
  7: 0x70f,
  8: 0x63f,
}

function speakersOf(mask: number): number[] {
  return Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (mask >>> bit) & 1)
}

function bitsIn(mask: number): number {
  return speakersOf(mask).length
}

function sum(mix: readonly (readonly [number, number])[], side: 0 | 1): number {
  return mix.reduce((total, weights) => total + weights[side], 0)
}
