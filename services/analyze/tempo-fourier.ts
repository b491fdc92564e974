/** A fast Fourier transform of one length, with its twiddle factors made once. */
export class Fourier {
  readonly #points: number
  readonly #cos: Float64Array
  readonly #sin: Float64Array

  /** @param points A power of two. */
  constructor(points: number) {
    this.#points = points
    const angle = (_: unknown, k: number) => (-2 * Math.PI * k) / points
    const angles = Float64Array.from({ length: points / 2 }, angle)
    this.#cos = angles.map(Math.cos)
    this.#sin = angles.map(Math.sin)
  }

  /** In-place radix-2 transform of a complex signal. */
  transform(re: Float64Array, im: Float64Array): void {
    const n = this.#points
    const cos = this.#cos
    const sin = this.#sin
    reverseBits(re, im)
    for (let size = 2; size <= n; size *= 2) {
      const half = size / 2
      const stride = n / size
      for (let block = 0; block < n; block += size) {
        for (let k = 0; k < half; k++) {
          const i = block + k
          const j = i + half
          const c = cos[k * stride] as number
          const s = sin[k * stride] as number
          const x = re[j] as number
          const y = im[j] as number
          const tr = x * c - y * s
          const ti = x * s + y * c
          re[j] = (re[i] as number) - tr
          im[j] = (im[i] as number) - ti
          re[i] = (re[i] as number) + tr
          im[i] = (im[i] as number) + ti
        }
      }
    }
  }

  /**
   * The magnitudes of two real signals from one transform.
   * @param count How many of each, from frequency 0; at most half the points.
   */
  magnitudes(
    a: Float64Array,
    b: Float64Array,
    count: number,
  ): readonly [Float32Array, Float32Array] {
    const n = this.#points
    this.transform(a, b)
    const first = new Float32Array(count)
    const second = new Float32Array(count)
    for (let k = 0; k < count; k++) {
      const mirror = (n - k) % n
      const re = a[k] as number
      const im = b[k] as number
      const mre = a[mirror] as number
      const mim = b[mirror] as number
      // The even part of the spectrum is the first signal's, the odd part the second's.
      first[k] = Math.hypot(re + mre, im - mim) / 2
      second[k] = Math.hypot(im + mim, mre - re) / 2
    }
    return [first, second]
  }
}

/**
 * Magnitude and phase of one frequency of a signal, as a complex number.
 * @param cycles Cycles per sample, not bound to any grid.
 */
export function componentAt(
  signal: Float32Array,
  cycles: number,
): { readonly re: number; readonly im: number } {
  const c = Math.cos(2 * Math.PI * cycles)
  const s = Math.sin(2 * Math.PI * cycles)
  let re = 0
  let im = 0
  let zr = 1
  let zi = 0
  for (let i = 0; i < signal.length; i++) {
    const x = signal[i] as number
    re += x * zr
    im -= x * zi
    const t = zr * c - zi * s
    zi = zr * s + zi * c
    zr = t
  }
  return { re, im }
}

function reverseBits(re: Float64Array, im: Float64Array): void {
  const n = re.length
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i < j) {
      swap(re, i, j)
      swap(im, i, j)
    }
  }
}

function swap(values: Float64Array, i: number, j: number): void {
  const value = values[i] as number
  values[i] = values[j] as number
  values[j] = value
}
