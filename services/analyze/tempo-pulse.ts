import { ENVELOPE_RATE } from './tempo-envelope.ts'
import { fourier } from './tempo-fourier.ts'

/** Length of the pieces whose spectra are added up, seconds: long enough to part 3 BPM. */
const SEGMENT_SECONDS = 20
/** Points of the transform: pads a segment so that neighbours are 0.7 BPM apart. */
const POINTS = 8192
const BPM_PER_BIN = (60 * ENVELOPE_RATE) / POINTS
/** Pulses from 10 to 1,600 a minute. */
const LOWEST_PULSE = 10
const HIGHEST_PULSE = 1600

/** How strongly a pulse of so many a minute runs through a track. Noise alone gives about 1. */
export type PulseSpectrum = (perMinute: number) => number

/**
 * The magnitude of the envelopes' Fourier transform, taken on overlapping segments of 20 s and
 * added up without regard to phase, so that a break or a jump in the track costs little. In units
 * of its own median, which music with a beat leaves far behind and noise does not.
 */
export function pulseSpectrum(envelopes: readonly Float32Array[]): {
  strength: PulseSpectrum
  segments: number
} {
  const sums = new Float64Array(Math.ceil(HIGHEST_PULSE / BPM_PER_BIN) + 2)
  let segments = 0
  for (const segment of segmentsOf(envelopes)) {
    segments++
    const re = new Float64Array(POINTS)
    const im = new Float64Array(POINTS)
    for (let i = 0; i < segment.length; i++) {
      const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / segment.length)
      re[i] = (segment[i] as number) * window
    }
    fourier(re, im)
    for (let i = 0; i < sums.length; i++) {
      sums[i] = (sums[i] as number) + Math.hypot(re[i] as number, im[i] as number)
    }
  }
  const first = Math.ceil(LOWEST_PULSE / BPM_PER_BIN)
  const sorted = sums.slice(first).sort()
  const median = (sorted[sorted.length >> 1] as number) || 1
  const strength = (perMinute: number) => {
    const at = perMinute / BPM_PER_BIN
    const i = Math.trunc(at)
    if (i < first || i + 1 >= sums.length) return 0
    const a = sums[i] as number
    const b = sums[i + 1] as number
    return (a + (b - a) * (at - i)) / median
  }
  return { strength, segments }
}

/** Segments of equal length with half of it shared by neighbours; a short envelope is one. */
function* segmentsOf(envelopes: readonly Float32Array[]): Generator<Float32Array> {
  for (const envelope of envelopes) {
    const length = Math.min(envelope.length, SEGMENT_SECONDS * ENVELOPE_RATE)
    const count = Math.max(1, Math.round((2 * (envelope.length - length)) / length) + 1)
    for (let i = 0; i < count; i++) {
      const start = count === 1 ? 0 : Math.round(((envelope.length - length) * i) / (count - 1))
      yield envelope.subarray(start, start + length)
    }
  }
}
