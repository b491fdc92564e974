import { ENVELOPE_RATE } from '../signal/envelope.ts'
import { componentAt } from '../signal/fourier.ts'

/** The beat, its half and its quarter. The faster a pulse, the more exactly it gives the tempo. */
const HARMONICS = [1, 2, 4]

/**
 * Refines a tempo that is right to about 1 BPM to 0.01 BPM. The peak of the envelope's transform is searched on
 * segments of 30 s, then of 120 s, then on the whole, each time closer around the peak found before. Longer
 * segments have narrower peaks; starting with short ones keeps the search on the right peak.
 */
export function refineTempo(envelopes: readonly Float32Array[], coarse: number): number {
  const longest = Math.max(...envelopes.map(({ length }) => length)) / ENVELOPE_RATE
  // A coarse tempo from segments of 20 s is right to 1 BPM; that of a shorter track is less exact in
  // proportion.
  const reach = 1.2 * Math.max(1, 20 / longest)
  let bpm = peak(cut(envelopes, 30), coarse, reach, 0.12)
  if (longest > 45) bpm = peak(cut(envelopes, 120), bpm, 0.18, 0.03)
  if (longest > 150) bpm = peak(envelopes, bpm, 0.05, 15 / longest / 4)
  return bpm
}

/** The highest point within `reach` of `centre`, interpolated between grid points by a parabola. */
function peak(
  pieces: readonly Float32Array[],
  centre: number,
  reach: number,
  step: number,
): number {
  const height = (bpm: number) => pulseHeight(pieces, bpm)
  const steps = Math.ceil(reach / step)
  let best = centre
  let highest = -1
  for (let i = -steps; i <= steps; i++) {
    const h = height(centre + i * step)
    if (h > highest) {
      highest = h
      best = centre + i * step
    }
  }
  const before = height(best - step)
  const after = height(best + step)
  const bend = before - 2 * highest + after
  return bend < 0 ? best + (step * (before - after)) / (2 * bend) : best
}

/** The height of the pulses of a tempo in pieces of envelopes, each with a phase of its own. */
export function pulseHeight(pieces: readonly Float32Array[], bpm: number): number {
  let sum = 0
  for (const piece of pieces) {
    for (const harmonic of HARMONICS) {
      const { re, im } = componentAt(piece, (harmonic * bpm) / 60 / ENVELOPE_RATE)
      sum += Math.hypot(re, im)
    }
  }
  return sum
}

/** Cuts envelopes into pieces of equal length, which is `seconds` or a little longer. */
function cut(envelopes: readonly Float32Array[], seconds: number): readonly Float32Array[] {
  return envelopes.flatMap((envelope) => {
    const count = Math.max(1, Math.trunc(envelope.length / (seconds * ENVELOPE_RATE)))
    return Array.from({ length: count }, (_, i) =>
      envelope.subarray(
        Math.trunc((envelope.length * i) / count),
        Math.trunc((envelope.length * (i + 1)) / count),
      ),
    )
  })
}
