import { ENVELOPE_RATE } from '../signal/envelope.ts'
import { magnitudesOfTwo } from '../signal/fourier.ts'

/** Length of the segments whose spectra are added up, seconds: long enough to separate tempos 3 BPM apart. */
const SEGMENT_SECONDS = 20
/** Number of points of the transform. It pads a segment so that bins are 0.7 BPM apart. */
const POINTS = 8192
const BPM_PER_BIN = (60 * ENVELOPE_RATE) / POINTS
/** The range of pulses, 10 to 1,600 per minute. */
const LOWEST_PULSE = 10
const HIGHEST_PULSE = 1600
const FIRST = Math.ceil(LOWEST_PULSE / BPM_PER_BIN)
const BINS = Math.ceil(HIGHEST_PULSE / BPM_PER_BIN) + 2

/** Returns the strength of the pulse of `perMinute` beats per minute in a signal. Noise alone gives about 1. */
export type PulseSpectrum = (perMinute: number) => number

/** A segment of an envelope, and the magnitudes of its pulses. */
export interface PulseSegment {
  /** The frames [start, end) of the envelope. */
  readonly start: number
  readonly end: number
  readonly magnitudes: Float32Array
}

/**
 * The magnitudes of the Fourier transform of an envelope, in segments of equal length of which neighbours share
 * half. A short envelope is one segment; an empty one has none.
 */
export function pulseSegments(envelope: Float32Array): readonly PulseSegment[] {
  const length = Math.min(envelope.length, SEGMENT_SECONDS * ENVELOPE_RATE)
  if (length === 0) return []
  const window = Float64Array.from(
    { length },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / length),
  )
  const room = envelope.length - length
  const count = Math.max(1, Math.round((2 * room) / length) + 1)
  const starts = Array.from({ length: count }, (_, i) =>
    count === 1 ? 0 : Math.round((room * i) / (count - 1)),
  )
  const segments: PulseSegment[] = []
  for (let i = 0; i < count; i += 2) {
    const pair = starts.slice(i, i + 2)
    const [a, b] = pair.map((start) =>
      windowed(envelope.subarray(start, start + length), window),
    )
    const magnitudes = magnitudesOfTwo(
      a ?? new Float64Array(POINTS),
      b ?? new Float64Array(POINTS),
      BINS,
    )
    pair.forEach((start, k) => {
      segments.push({ start, end: start + length, magnitudes: magnitudes[k] as Float32Array })
    })
  }
  return segments
}

/**
 * The sum of the spectra of all segments. Phases are ignored, so that a break or a jump in the track costs
 * little. In units of its own median, which music with a beat exceeds by far and noise does not.
 */
export function pulseSpectrum(magnitudes: readonly Float32Array[]): PulseSpectrum {
  const sums = new Float64Array(BINS)
  for (const segment of magnitudes) {
    for (let i = 0; i < BINS; i++) sums[i] = (sums[i] as number) + (segment[i] as number)
  }
  const sorted = sums.slice(FIRST).sort()
  const median = (sorted[sorted.length >> 1] as number) || 1
  return (perMinute) => {
    const at = perMinute / BPM_PER_BIN
    const i = Math.trunc(at)
    if (i < FIRST || i + 1 >= BINS) return 0
    const a = sums[i] as number
    const b = sums[i + 1] as number
    return (a + (b - a) * (at - i)) / median
  }
}

function windowed(signal: Float32Array, window: Float64Array): Float64Array {
  const mean = signal.reduce((sum, x) => sum + x, 0) / signal.length
  const padded = new Float64Array(POINTS)
  for (let i = 0; i < signal.length; i++) {
    padded[i] = ((signal[i] as number) - mean) * (window[i] as number)
  }
  return padded
}
