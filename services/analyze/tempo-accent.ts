import { ENVELOPE_RATE } from './tempo-envelope.ts'

const SEGMENT_SECONDS = 20

/**
 * How alike odd and even beats at `bpm` are in force: 1 if equal, 0 if every other one is empty.
 * Real beats, of whatever kind of music, seldom come below 0.5; where a bass drum on every beat is
 * counted at double its tempo, every other "beat" is but a hi-hat.
 * @param accents For each span how much energy sets in, at the envelope rate.
 */
export function evenness(accents: readonly Float32Array[], bpm: number): number {
  const cycle = (2 * 60 * ENVELOPE_RATE) / bpm
  const length = Math.max(1, Math.round((SEGMENT_SECONDS * ENVELOPE_RATE) / cycle)) * cycle
  const ratios = accents.flatMap((span) => {
    const count = Math.max(1, Math.trunc(span.length / length))
    return Array.from({ length: count }, (_, i) =>
      ratio(
        foldedOver(cycle, span.subarray(Math.round(i * length), Math.round((i + 1) * length))),
      ),
    )
  })
  return ratios.reduce((sum, value) => sum + value, 0) / Math.max(1, ratios.length)
}

/** The sum of all cycles of a signal, an even number of points long. */
function foldedOver(cycle: number, signal: Float32Array): Float64Array {
  const points = 2 * Math.trunc(cycle / 2)
  const sum = new Float64Array(points)
  let phase = 0
  for (let i = 0; i < signal.length; i++) {
    const at = Math.trunc((phase / cycle) * points)
    sum[at] = (sum[at] as number) + (signal[i] as number)
    phase = phase + 1 < cycle ? phase + 1 : phase + 1 - cycle
  }
  return sum
}

/** Weaker to stronger half, taken 50 ms wide where both together are strongest. */
function ratio(profile: Float64Array): number {
  const beat = profile.length / 2
  const around = (centre: number) => {
    let sum = 0
    for (let i = centre - 2; i <= centre + 2; i++) {
      sum += profile[(i + profile.length) % profile.length] as number
    }
    return sum
  }
  let strongest = 0
  let found = 1
  for (let i = 0; i < beat; i++) {
    const odd = around(i)
    const even = around(i + beat)
    if (odd + even > strongest) {
      strongest = odd + even
      found = Math.min(odd, even) / Math.max(odd, even)
    }
  }
  return found
}
