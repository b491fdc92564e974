import { BANDS, ENERGY_RATE } from '../signal/envelope.ts'

/** Range of the logarithm below a band's mean energy (20 dB). */
const COMPRESSION = 100
/** Minimum share of a band in the whole energy (−30 dB). A weaker band is noise. */
const FLOOR = 1e-3
/** Maximum distance of an onset from the beat that it counts for, seconds. Players are that exact. */
const REACH_SECONDS = 0.015
/** Minimum energy at which the track sounds, as a share of the mean energy (−40 dB). */
const SOUNDING = 1e-4

/**
 * The moment of the first beat of a steady track, seconds from the start of `energies`. The moment of a beat is
 * the onset of the sound on it, where the energy begins to rise. Beats lie at the phase with the strongest
 * onsets over the whole signal. The first beat is the first one at or after the first sound, so an upbeat comes
 * before it.
 */
export function firstBeat(energies: Float32Array, bpm: number): number {
  const period = (60 / bpm) * ENERGY_RATE
  const phase = strongestPhase(foldedRises(energies, period), period)
  const start = firstSound(energies) - REACH_SECONDS * ENERGY_RATE
  const beat = phase + Math.ceil((start - phase) / period) * period
  return Math.max(0, beat) / ENERGY_RATE
}

/** The rise of the energies at each phase of a beat, summed over all beats, one point per hop. */
function foldedRises(energies: Float32Array, period: number): Float64Array {
  const hops = energies.length / BANDS
  const sums = new Float64Array(Math.ceil(period))
  const references = bandReferences(energies)
  for (let band = 0; band < BANDS; band++) {
    const reference = references[band] as number
    if (!(reference > 0)) continue
    let before = 0
    let phase = 0
    for (let hop = 0; hop < hops; hop++) {
      const energy = energies[hop * BANDS + band] as number
      const now = Math.log1p((COMPRESSION * energy) / reference)
      const at = Math.trunc(phase)
      // Falls count as well, so that a ripple with the period of a bass note does not add up.
      sums[at] = (sums[at] as number) + now - before
      before = now
      phase = phase + 1 < period ? phase + 1 : phase + 1 - period
    }
  }
  return sums
}

function bandReferences(energies: Float32Array): readonly number[] {
  const means = new Array<number>(BANDS).fill(0)
  for (let i = 0; i < energies.length; i++) {
    means[i % BANDS] = (means[i % BANDS] as number) + (energies[i] as number)
  }
  const hops = Math.max(1, energies.length / BANDS)
  const total = means.reduce((sum, mean) => sum + mean, 0) / hops
  return means.map((mean) => Math.max(mean / hops, FLOOR * total))
}

/** The phase of the strongest onsets, hops from the start of the signal, less than a period. */
function strongestPhase(rises: Float64Array, period: number): number {
  const reach = Math.round(REACH_SECONDS * ENERGY_RATE)
  const at = (i: number) => rises[(i + rises.length) % rises.length] as number
  let best = 0
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < rises.length; i++) {
    let sum = 0
    for (let k = -reach; k <= reach; k++) sum += at(i + k) * (1 - Math.abs(k) / (reach + 1))
    if (sum > most) {
      most = sum
      best = i
    }
  }
  let weight = 0
  let moment = 0
  for (let k = -reach; k <= reach; k++) {
    const rise = Math.max(0, at(best + k))
    weight += rise
    moment += rise * k
  }
  const phase = best + 0.5 + (weight > 0 ? moment / weight : 0)
  return ((phase % period) + period) % period
}

function firstSound(energies: Float32Array): number {
  const mean = energies.reduce((sum, energy) => sum + energy, 0) / Math.max(1, energies.length)
  const first = energies.findIndex((energy) => energy > SOUNDING * mean)
  return Math.trunc(Math.max(0, first) / BANDS)
}
