import { SAMPLE_RATE } from '../../../contracts/pcm-format.ts'

/** The number of samples in one hop: 100 ms, the step of the windows of ITU-R BS.1770-4 (400 ms, overlap 75 %). */
export const HOP_SAMPLES = SAMPLE_RATE / 10

/** y[n] = b0 x[n] + b1 x[n−1] + b2 x[n−2] − a1 y[n−1] − a2 y[n−2] */
interface Biquad {
  readonly b0: number
  readonly b1: number
  readonly b2: number
  readonly a1: number
  readonly a2: number
}

/**
 * The two stages of K-weighting (ITU-R BS.1770-4, Annex 1) at 44.1 kHz. The recommendation tabulates them for
 * 48 kHz only; these are the same analogue prototypes put through the bilinear transform at our rate, as
 * ffmpeg and libebur128 do. The prototypes give the tabulated numbers at 48 kHz to all their digits.
 */
const SHELF = shelf(1681.974450955533, 3.999843853973347, 0.7071752369554196)
const HIGH_PASS = highPass(38.13547087602444, 0.5003270373238773)

function shelf(hz: number, gain: number, q: number): Biquad {
  const k = Math.tan((Math.PI * hz) / SAMPLE_RATE)
  const high = 10 ** (gain / 20)
  const band = high ** 0.4996667741545416
  const a0 = 1 + k / q + k * k
  return {
    b0: (high + (band * k) / q + k * k) / a0,
    b1: (2 * (k * k - high)) / a0,
    b2: (high - (band * k) / q + k * k) / a0,
    a1: (2 * (k * k - 1)) / a0,
    a2: (1 - k / q + k * k) / a0,
  }
}

function highPass(hz: number, q: number): Biquad {
  const k = Math.tan((Math.PI * hz) / SAMPLE_RATE)
  const a0 = 1 + k / q + k * k
  // The numerator is not scaled by a0, as in the recommendation.
  return { b0: 1, b1: -2, b2: 1, a1: (2 * (k * k - 1)) / a0, a2: (1 - k / q + k * k) / a0 }
}

/** States below this count as 0. They would decay to denormal numbers, which slow processors down a hundredfold. */
const NOTHING = 1e-20

/** Computes the K-weighted energy of stereo, hop by hop, in one pass over consecutive samples. */
export class Weighting {
  /** The states of the shelf (2) and of the high-pass (2), left, then right (direct form II, transposed). */
  readonly #state = new Float64Array(8)

  /**
   * Starts as if the first sample had been constant before, so that a track that is cut out of a longer one, or has a
   * DC offset, does not begin with a step.
   */
  constructor(left: number, right: number) {
    this.#state.set([...settled(left), ...settled(right)])
  }

  /**
   * The mean square of both weighted channels over one hop, summed; full scale is 1.
   * @param pcm Interleaved samples. The hop begins at index `from`.
   */
  hop(pcm: Int16Array, from: number): number {
    const { b0, b1, b2, a1, a2 } = SHELF
    const { a1: c1, a2: c2 } = HIGH_PASS
    const state = this.#state
    let [s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0] = state
    let energy = 0
    const to = from + 2 * HOP_SAMPLES
    for (let i = from; i < to; i += 2) {
      const left = pcm[i] as number
      const y = b0 * left + s0
      // In this order the next sample depends on the shortest chain of operations.
      s0 = b1 * left + s1 - a1 * y
      s1 = b2 * left - a2 * y
      const w = y + s2
      s2 = s3 - 2 * y - c1 * w
      s3 = y - c2 * w
      const right = pcm[i + 1] as number
      const u = b0 * right + t0
      t0 = b1 * right + t1 - a1 * u
      t1 = b2 * right - a2 * u
      const v = u + t2
      t2 = t3 - 2 * u - c1 * v
      t3 = u - c2 * v
      energy += w * w + v * v
    }
    state.set([s0, s1, s2, s3, t0, t1, t2, t3])
    for (let i = 0; i < 8; i++) if (Math.abs(state[i] ?? 0) < NOTHING) state[i] = 0
    return energy / (HOP_SAMPLES * 32_768 ** 2)
  }
}

/** The states of one channel's filters after a constant input of `x`. */
function settled(x: number): readonly number[] {
  const { b0, b1, b2, a1, a2 } = SHELF
  const y = (x * (b0 + b1 + b2)) / (1 + a1 + a2)
  const second = b2 * x - a2 * y
  return [b1 * x - a1 * y + second, second, -y, y]
}
