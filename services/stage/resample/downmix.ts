/**
 * How much of each channel goes to the left and to the right of a stereo mix.
 *
 * Mono goes to both sides at its full level; stereo stays as it is. More channels are mixed as
 * ITU-R BS.775 has it (centre and surrounds 3 dB down, no low-frequency effects), then scaled so
 * that the loudest possible master does not clip.
 * @param mask the loudspeakers of WAVE_FORMAT_EXTENSIBLE; 0 or one that does not fit: the usual order.
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

/** 3 dB down. */
const H = Math.SQRT1_2
const BOTH = [0.5, 0.5] as const

/** By bit of the mask: front left and right, centre, low frequencies, back left and right, … */
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

/** What 3 to 8 channels are when nothing says so: RFC 9639 section 9.1.3, which agrees with usual WAV files. */
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
