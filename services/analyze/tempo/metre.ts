import { ENVELOPE_RATE } from '../signal/envelope.ts'
import type { Passage } from './passage.ts'
import type { PulseSpectrum } from './pulse.ts'

/** The range of possible tempos, BPM. */
const SLOWEST = 50
const FASTEST = 220

/** Two tempos within 4 % count as the same, as is usual in the evaluation of tempo estimates. */
const SAME = 0.04
const STEP = 0.25
/** Number of peaks that become candidates, and of how many of them the relatives do as well. */
const PEAKS = 8
const PARENTS = 3
/** Ratios by which a beat may be mistaken: its double and half, its triple, and dotted beats. */
const RELATIVES = [2, 1 / 2, 3, 1 / 3, 4 / 3, 3 / 4, 3 / 2, 2 / 3]
/** A relative this close to a candidate counts as that candidate. */
const SAME_PEAK = 0.02
/**
 * The pulses that accompany a beat in music that divides by two, as multiples of the beat, with their weights:
 * quarter and half beats, the backbeat, the bar, and eighths of a beat.
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
/** Mean and deviation of a Rayleigh distribution whose median is 1, which is the spectrum of noise. */
const NOISE_MEAN = 1.0645
const NOISE_DEVIATION = 0.5564

/** The strength of the pulses of a beat at `bpm` in a track. Noise alone gives about 1. */
export function pulsation(strength: PulseSpectrum, bpm: number): number {
  let sum = 0
  for (const [multiple, weight] of PULSES) sum += weight * strength(multiple * bpm)
  return sum / WEIGHT
}

/**
 * By how many standard deviations a pulsation exceeds that of noise.
 * @param segments number of half-overlapping segments whose spectra were added up
 */
export function prominence(pulsation: number, segments: number): number {
  const deviation = (NOISE_DEVIATION * SPREAD) / Math.sqrt((segments + 1) / 2)
  return (pulsation - NOISE_MEAN) / deviation
}

/**
 * The candidate tempos of a passage, to about half a BPM: the peaks of the pulsation, and the tempos that the
 * highest peaks may have been mistaken for. Empty when nothing pulses.
 */
export function candidateTempos(strength: PulseSpectrum): readonly number[] {
  const steps = (FASTEST - SLOWEST) / STEP
  const heights = Array.from({ length: steps + 1 }, (_, i) => {
    const bpm = SLOWEST + i * STEP
    // A mild preference for common tempos. Without it, the eighths of slow music would displace its beats.
    return pulsation(strength, bpm) * Math.exp(-0.5 * (Math.log2(bpm / 120) / 0.9) ** 2)
  })
  const tempos = heights
    .map((height, i) => ({ height, i }))
    .filter(
      ({ height, i }) => height >= (heights[i - 1] ?? 0) && height > (heights[i + 1] ?? 0),
    )
    .sort((a, b) => b.height - a.height || a.i - b.i)
    .slice(0, PEAKS)
    .map(({ i }) => SLOWEST + i * STEP)
  for (const parent of tempos.slice(0, PARENTS)) {
    for (const ratio of RELATIVES) {
      const bpm = parent * ratio
      const known = tempos.some((other) => Math.abs(other / bpm - 1) < SAME_PEAK)
      if (!known && bpm >= SLOWEST && bpm <= FASTEST) tempos.push(bpm)
    }
  }
  return tempos
}

export function sameTempo(a: number, b: number): boolean {
  return Math.abs(a / b - 1) < SAME
}

export function sameButForOctave(a: number, b: number): boolean {
  return [0.5, 1, 2].some((octave) => sameTempo(a * octave, b))
}

/** The evidence for a tempo. `ranking` has the weights. */
export interface Evidence {
  /** Logarithms of the strength of the pulses of the beat and its multiples in the whole passage. */
  readonly beat: number
  readonly half: number
  readonly quarter: number
  readonly sixth: number
  readonly bar: number
  /** The autocorrelation of the onsets at eight beats, two bars of common time: −1 to 1. */
  readonly repetition: number
  /** The autocorrelation of the bass drum at one beat: −1 to 1. */
  readonly lowRepetition: number
}

export function evidenceFor(passage: Passage, bpm: number): Evidence {
  const { strength } = passage
  return {
    beat: logarithm(strength(bpm)),
    half: logarithm(strength(2 * bpm)),
    quarter: logarithm(strength(4 * bpm)),
    sixth: logarithm(strength(6 * bpm)),
    bar: logarithm(strength(bpm / 4)),
    repetition: repetition(passage.all, bpm, 8),
    lowRepetition: repetition(passage.low, bpm, 1),
  }
}

/** The logarithm of a strength. Noise has a strength of 1; values below that carry no information. */
function logarithm(strength: number): number {
  return Math.log(strength + 0.3)
}

/** The autocorrelation of the onsets at a lag of `beats` beats, rounded to a frame. */
function repetition(envelopes: readonly Float32Array[], bpm: number, beats: number): number {
  const lag = (beats * 60 * ENVELOPE_RATE) / bpm
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
