import { ENVELOPE_RATE } from './tempo-envelope.ts'
import type { PulseSpectrum } from './tempo-pulse.ts'

/** Tempos that are considered at all, BPM. */
export const SLOWEST = 60
export const FASTEST = 210

/** Where dance music crowds, and how widely: the log-normal prior of section 12 of DESIGN.md. */
const USUAL = 128
const OCTAVES = 0.6
/**
 * The pulses that a beat brings along in music that divides by two, as multiples of it, and their
 * weights: quarter and half beats, the backbeat, the bar, and eighths of a beat.
 */
const PULSES = [
  [1, 1],
  [2, 1],
  [4, 0.8],
  [8, 0.5],
  [1 / 2, 0.5],
  [1 / 4, 0.5],
] as const
const WEIGHT = PULSES.reduce((sum, [, weight]) => sum + weight, 0)
const SPREAD = Math.sqrt(PULSES.reduce((sum, [, weight]) => sum + weight ** 2, 0)) / WEIGHT
/** A peak lower than this share of the highest never wins. */
const HOPELESS = 0.25
/** Mean and deviation of a Rayleigh distribution whose median is 1: what noise does to a spectrum. */
const NOISE_MEAN = 1.0645
const NOISE_DEVIATION = 0.5564

/** How strongly the pulses of a beat at `bpm` run through a track. Noise alone gives about 1. */
export function pulsation(strength: PulseSpectrum, bpm: number): number {
  let sum = 0
  for (const [multiple, weight] of PULSES) sum += weight * strength(multiple * bpm)
  return sum / WEIGHT
}

/**
 * By how many standard deviations a pulsation stands out of what noise would give, in a spectrum
 * added up from so many half-overlapping segments.
 */
export function prominence(pulsation: number, segments: number): number {
  const deviation = (NOISE_DEVIATION * SPREAD) / Math.sqrt((segments + 1) / 2)
  return (pulsation - NOISE_MEAN) / deviation
}

/** How usual a tempo is, 0 to 1. Decides the octave where the signal leaves it open. */
export function usualness(bpm: number): number {
  return Math.exp(-0.5 * (Math.log2(bpm / USUAL) / OCTAVES) ** 2)
}

/** The tempos at which pulsation times usualness peaks, the best first, without hopeless ones. */
export function candidateTempos(strength: PulseSpectrum, count: number): readonly number[] {
  const step = 0.25
  const steps = (FASTEST - SLOWEST) / step
  const bpmAt = (i: number) => SLOWEST + i * step
  const heights = Array.from({ length: steps + 1 }, (_, i) => {
    const bpm = bpmAt(i)
    return pulsation(strength, bpm) * usualness(bpm)
  })
  const least = HOPELESS * Math.max(...heights)
  return heights
    .map((height, i) => ({ height, i }))
    .filter(
      ({ height, i }) =>
        height >= least && height >= (heights[i - 1] ?? 0) && height > (heights[i + 1] ?? 0),
    )
    .sort((a, b) => b.height - a.height || a.i - b.i)
    .slice(0, count)
    .map(({ i }) => bpmAt(i))
}

/**
 * How well a track repeats itself after eight beats at `bpm`, two bars of the usual kind: the
 * correlation of its onsets with themselves at that lag, −1 to 1. A tempo that is off by 3/4 or
 * 4/3 fits many a syncopated rhythm, but its bars do not come round.
 */
export function repetition(envelopes: readonly Float32Array[], bpm: number): number {
  const lag = (8 * 60 * ENVELOPE_RATE) / bpm
  return Math.max(
    correlation(envelopes, lag - 1),
    correlation(envelopes, lag),
    correlation(envelopes, lag + 1),
  )
}

function correlation(envelopes: readonly Float32Array[], lag: number): number {
  const whole = Math.trunc(lag)
  const part = lag - whole
  let product = 0
  let power = 0
  for (const x of envelopes) {
    for (let i = 0; i + whole + 1 < x.length; i++) {
      const now = x[i] as number
      const then = x[i + whole] as number
      const next = x[i + whole + 1] as number
      product += now * (then + part * (next - then))
      power += (now * now + then * then) / 2
    }
  }
  return power > 0 ? product / power : 0
}
