import { BANDS, ENERGY_RATE } from './envelope.ts'

/** How far the logarithm reaches below a band's mean energy (20 dB). */
const COMPRESSION = 100
/** A band weaker than this share of the whole (−30 dB) is noise. */
const FLOOR = 1e-3
/** Onsets this far from a beat still count for it, seconds; players are that exact. */
const REACH_SECONDS = 0.015
/** A share of the mean energy (−40 dB) from which on the track sounds. */
const SOUNDING = 1e-4

/**
 * The moment of the first beat of a steady track, seconds from the start of `energies`. A beat's
 * moment is the onset of what sounds on it: where its energy begins to rise. Beats are where, over
 * the whole signal, most sets in; the first is the first of them at or after the first sound, so
 * that an upbeat comes before it.
 */
export function firstBeat(energies: Float32Array, bpm: number): number {
  const period = (60 / bpm) * ENERGY_RATE
  const phase = strongestPhase(foldedRises(energies, period), period)
  const start = firstSound(energies) - REACH_SECONDS * ENERGY_RATE
  const beat = phase + Math.ceil((start - phase) / period) * period
  return Math.max(0, beat) / ENERGY_RATE
}

/** By how much energies rise at each phase of a beat, all beats summed, a point a hop. */
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
      // Falls count too: what ripples with a bass note's period is not to add up.
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

/** Hops from the start of the signal to the middle of where most sets in, less than a period. */
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
