import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** Frames of an onset envelope per second. */
export const ENVELOPE_RATE = 100

/** Energies per second: three times the rate of the envelope, so that they can be smoothed before decimation. */
export const ENERGY_RATE = 3 * ENVELOPE_RATE
const HOP = SAMPLE_RATE / ENERGY_RATE
/**
 * A 50 ms Blackman window over the energies. Without it, a steady bass note of 49 Hz, whose energy ripples 98
 * times a second, or a held chord, whose notes beat 110 times a second, would alias into beats. A Hann window
 * would let enough of a chord pass to be taken for beats.
 */
const SMOOTHING = Float64Array.from({ length: 15 }, (_, i) => {
  const angle = (2 * Math.PI * (i + 1)) / 16
  return (0.42 - 0.5 * Math.cos(angle) + 0.08 * Math.cos(2 * angle)) / (0.42 * 16)
})
/** Crossover frequencies between bass drum, middle and hi-hat, Hz. */
const LOW_EDGE = 150
const HIGH_EDGE = 2500
/** Number of energies per instant: low, middle, high. */
export const BANDS = 3
/** Range of the logarithm below a band's mean energy (20 dB). Energies below it count as silent. */
const COMPRESSION = 100
/** Minimum share of a band in the whole energy (−30 dB). A weaker band is noise and is not amplified. */
const FLOOR = 1e-3

/** Measures the energies of three coarse bands of a mono signal, piece by piece. */
export class BandEnergies {
  readonly #energies: Float32Array
  #written = 0
  #inHop = 0
  #low = 0
  #middle = 0
  #e0 = 0
  #e1 = 0
  #e2 = 0

  /** @param samples total number of samples */
  constructor(samples: number) {
    this.#energies = new Float32Array(Math.trunc(samples / HOP) * BANDS)
  }

  push(mono: Float32Array): void {
    const a = Math.exp((-2 * Math.PI * LOW_EDGE) / SAMPLE_RATE)
    const b = Math.exp((-2 * Math.PI * HIGH_EDGE) / SAMPLE_RATE)
    let low = this.#low
    let middle = this.#middle
    for (let i = 0; i < mono.length; ) {
      const until = Math.min(mono.length, i + HOP - this.#inHop)
      this.#inHop += until - i
      let e0 = 0
      let e1 = 0
      let e2 = 0
      for (; i < until; i++) {
        const x = mono[i] as number
        low = x + a * (low - x)
        middle = x + b * (middle - x)
        const m = middle - low
        const h = x - middle
        e0 += low * low
        e1 += m * m
        e2 += h * h
      }
      this.#e0 += e0
      this.#e1 += e1
      this.#e2 += e2
      if (this.#inHop === HOP) this.#flush()
    }
    this.#low = low
    this.#middle = middle
  }

  /** The energies so far, for each hop: low, middle, high. */
  energies(): Float32Array {
    return this.#energies.subarray(0, this.#written)
  }

  #flush(): void {
    const energies = this.#energies
    energies[this.#written++] = this.#e0 / HOP
    energies[this.#written++] = this.#e1 / HOP
    energies[this.#written++] = this.#e2 / HOP
    this.#inHop = this.#e0 = this.#e1 = this.#e2 = 0
  }
}

/**
 * The onset strength of each band at each instant: the rise of the logarithm of its energy, at 100 Hz. It does
 * not depend on the level of the signal.
 */
export function onsetEnvelopes(energies: Float32Array): readonly Float32Array[] {
  const total = mean(energies, 0, 1) * BANDS
  return Array.from({ length: BANDS }, (_, band) => {
    const envelope = new Float32Array(frameCount(energies))
    const reference = Math.max(mean(energies, band, BANDS), FLOOR * total)
    if (reference > 0) {
      addRises(envelope, (frame) =>
        Math.log(1 + (COMPRESSION * smoothed(energies, frame, band)) / reference),
      )
    }
    return envelope
  })
}

/** The sum of a span's envelopes, shifted to a mean of 0. */
export function summed(envelopes: readonly Float32Array[]): Float32Array {
  const sum = new Float32Array(envelopes[0]?.length ?? 0)
  for (const envelope of envelopes) {
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + (envelope[i] as number)
  }
  const centre = mean(sum, 0, 1)
  return sum.map((value) => value - centre)
}

function frameCount(energies: Float32Array): number {
  return Math.max(0, Math.trunc((energies.length / BANDS - SMOOTHING.length) / 3) + 1)
}

function smoothed(energies: Float32Array, frame: number, band: number): number {
  let energy = 0
  for (let k = 0; k < SMOOTHING.length; k++) {
    energy += (SMOOTHING[k] as number) * (energies[(3 * frame + k) * BANDS + band] as number)
  }
  return energy
}

/** Adds to each frame the rise of `level` since the frame before. */
function addRises(envelope: Float32Array, level: (frame: number) => number): void {
  let before = Number.POSITIVE_INFINITY
  for (let frame = 0; frame < envelope.length; frame++) {
    const now = level(frame)
    if (now > before) envelope[frame] = (envelope[frame] as number) + now - before
    before = now
  }
}

function mean(values: Float32Array, from: number, stride: number): number {
  let sum = 0
  let count = 0
  for (let i = from; i < values.length; i += stride, count++) sum += values[i] as number
  return count === 0 ? 0 : sum / count
}
