import type { LoudnessData } from './parts.ts'

/** The loudness of a track, as `loudness` reports it. A value is null if it is not defined. */
export interface Loudness {
  /** The loudness of the whole track, LUFS, rounded to 0.01 (ITU-R BS.1770-4). */
  readonly integrated: number | null
  /** The loudness range, LU, rounded to 0.01 (EBU Tech 3342). */
  readonly range: number | null
  /** The loudness of the loudest 400 ms, LUFS, rounded to 0.01. */
  readonly momentaryMax: number | null
  /** The loudness of the loudest 3 s, LUFS, rounded to 0.01. */
  readonly shortTermMax: number | null
  /** The highest level of the waveform, also between samples, dBTP, rounded to 0.01. */
  readonly truePeak: number | null
  /** The highest level of a sample, dBFS, rounded to 0.01. */
  readonly samplePeak: number | null
  /** Why `integrated` is null: `silence`, or `too short`. */
  readonly reason?: 'silence' | 'too short'
  /** Why `range` is null; absent if it is not. */
  readonly rangeReason?: 'silence' | 'too short'
}

/** Hops of 100 ms in a momentary and in a short-term window. */
const MOMENTARY = 4
const SHORT_TERM = 30
/** Windows below this level do not count, LUFS. */
const ABSOLUTE_GATE = -70
/** The relative gates, LU relative to the mean of the windows that pass the absolute gate. */
const INTEGRATED_GATE = -10
const RANGE_GATE = -20

/**
 * The loudness of a whole track, by windows of 400 ms and 3 s that begin every 100 ms. An incomplete window at the end
 * of the track does not count, as the recommendation specifies.
 */
export function loudnessOf({ energies, samplePeak, truePeak }: LoudnessData): Loudness {
  const momentary = windows(energies, MOMENTARY)
  const shortTerm = windows(energies, SHORT_TERM)
  const integrated = integratedOf(momentary)
  const range = rangeOf(shortTerm)
  return {
    integrated,
    range,
    momentaryMax: loudest(momentary),
    shortTermMax: loudest(shortTerm),
    truePeak: level(truePeak),
    samplePeak: level(samplePeak),
    ...(integrated === null ? { reason: why(momentary) } : {}),
    ...(range === null ? { rangeReason: why(shortTerm) } : {}),
  }
}

/** The mean energy of each window of `hops` hops. */
function windows(energies: Float64Array, hops: number): Float64Array {
  const count = Math.max(0, energies.length - hops + 1)
  return Float64Array.from({ length: count }, (_, i) => mean(energies.subarray(i, i + hops)))
}

function integratedOf(momentary: Float64Array): number | null {
  const heard = above(momentary, energyOf(ABSOLUTE_GATE))
  if (heard.length === 0) return null
  return hundredths(loudness(mean(above(heard, gate(heard, INTEGRATED_GATE)))))
}

/** The loudness range: from the 10th to the 95th percentile of the windows that pass both gates, LU. */
function rangeOf(shortTerm: Float64Array): number | null {
  const heard = above(shortTerm, energyOf(ABSOLUTE_GATE))
  if (heard.length === 0) return null
  const sorted = above(heard, gate(heard, RANGE_GATE)).sort()
  const at = (part: number) => loudness(sorted[Math.round((sorted.length - 1) * part)] ?? 0)
  return hundredths(at(0.95) - at(0.1))
}

function loudest(energies: Float64Array): number | null {
  const most = energies.reduce((max, energy) => Math.max(max, energy), 0)
  return most > energyOf(ABSOLUTE_GATE) ? hundredths(loudness(most)) : null
}

function why(of: Float64Array): 'silence' | 'too short' {
  return of.length === 0 ? 'too short' : 'silence'
}

function above(energies: Float64Array, threshold: number): Float64Array {
  return energies.filter((energy) => energy > threshold)
}

function gate(heard: Float64Array, relative: number): number {
  return mean(heard) * 10 ** (relative / 10)
}

function mean(of: Float64Array): number {
  return of.reduce((sum, each) => sum + each, 0) / of.length
}

/** LUFS of a mean square, ITU-R BS.1770-4 formula 2: 997 Hz at full scale in one channel are −3.01. */
function loudness(energy: number): number {
  return -0.691 + 10 * Math.log10(energy)
}

function energyOf(lufs: number): number {
  return 10 ** ((lufs + 0.691) / 10)
}

function level(magnitude: number): number | null {
  return magnitude === 0 ? null : hundredths(20 * Math.log10(magnitude / 32_768))
}

function hundredths(x: number): number {
  // Never −0, which JSON would write as 0 while a comparison would see the difference.
  return Math.round(x * 100) / 100 + 0
}
