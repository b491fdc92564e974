import {
  BANDS,
  ENERGY_RATE,
  ENVELOPE_RATE,
  onsetEnvelopes,
  summed,
} from '../signal/envelope.ts'
import { type PulseSegment, type PulseSpectrum, pulseSegments, pulseSpectrum } from './pulse.ts'

/** Approximate length of a passage whose own tempo is estimated, seconds. */
const PASSAGE_SECONDS = 30

/** A part of a span, or several consecutive parts, as the estimators see it. */
export interface Passage {
  /** The onsets of all bands together, one envelope for each part. */
  readonly all: readonly Float32Array[]
  /** The onsets of the bass drum's band. */
  readonly low: readonly Float32Array[]
  readonly segments: readonly PulseSegment[]
  /** The strength of each pulse in `all`. */
  readonly strength: PulseSpectrum
}

/** A passage that is one part of one span. */
export interface Piece extends Passage {
  /** Index of the span. */
  readonly span: number
  /** Start, seconds from the span's start. */
  readonly from: number
  readonly to: number
}

/** Cuts the energies of the spans into passages of equal length, about half a minute each. */
export function piecesOf(energies: readonly Float32Array[]): readonly Piece[] {
  return energies.flatMap((energy, span) => {
    const bands = onsetEnvelopes(energy)
    const all = summed(bands)
    const low = summed(bands.slice(0, 1))
    const segments = pulseSegments(all)
    const frames = PASSAGE_SECONDS * ENVELOPE_RATE
    const count = Math.max(1, Math.round(all.length / frames))
    return Array.from({ length: count }, (_, i) => {
      const start = Math.round((all.length * i) / count)
      const end = Math.round((all.length * (i + 1)) / count)
      const inside = segments.filter((segment) => {
        const middle = (segment.start + segment.end) / 2
        return middle >= start && (middle < end || i === count - 1)
      })
      return {
        span,
        from: start / ENVELOPE_RATE,
        to: i === count - 1 ? energy.length / BANDS / ENERGY_RATE : end / ENVELOPE_RATE,
        ...passage([all.subarray(start, end)], [low.subarray(start, end)], inside),
      }
    })
  })
}

/** Combines passages into one. Adjacent passages are joined, so that nothing is lost at their borders. */
export function joined(pieces: readonly Piece[]): Passage {
  const runs: Piece[][] = []
  for (const piece of pieces) {
    const last = runs.at(-1)?.at(-1)
    if (last && last.span === piece.span && last.to === piece.from) runs.at(-1)?.push(piece)
    else runs.push([piece])
  }
  const whole = (of: 'all' | 'low') =>
    runs.map((run) => concatenated(run.flatMap((p) => p[of])))
  return passage(
    whole('all'),
    whole('low'),
    pieces.flatMap(({ segments }) => segments),
  )
}

function passage(
  all: readonly Float32Array[],
  low: readonly Float32Array[],
  segments: readonly PulseSegment[],
): Passage {
  return {
    all,
    low,
    segments,
    strength: pulseSpectrum(segments.map(({ magnitudes }) => magnitudes)),
  }
}

function concatenated(envelopes: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(envelopes.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const envelope of envelopes) {
    whole.set(envelope, at)
    at += envelope.length
  }
  return whole
}
