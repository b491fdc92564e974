/**
 * In-place radix-2 fast Fourier transform of a complex signal.
 * @param re real parts; their number is a power of two
 * @param im imaginary parts, as many as `re`
 */
function fourier(re: Float64Array, im: Float64Array): void {
  const n = re.length
  const { cos, sin } = twiddlesOf(n)
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
 * Computes the magnitudes of two real signals with one transform. Both signals are overwritten.
 * @param count number of magnitudes of each, from frequency 0; at most half the points plus one
 */
export function magnitudesOfTwo(
  a: Float64Array,
  b: Float64Array,
  count: number,
): readonly [Float32Array, Float32Array] {
  const n = a.length
  fourier(a, b)
  const first = new Float32Array(count)
  const second = new Float32Array(count)
  for (let k = 0; k < count; k++) {
    const mirror = (n - k) % n
    const re = a[k] as number
    const im = b[k] as number
    const mre = a[mirror] as number
    const mim = b[mirror] as number
    // The even part of the spectrum belongs to the first signal, the odd part to the second.
    first[k] = Math.sqrt((re + mre) ** 2 + (im - mim) ** 2) / 2
    second[k] = Math.sqrt((im + mim) ** 2 + (mre - re) ** 2) / 2
  }
  return [first, second]
}

/**
 * The component of a signal at one frequency, as a complex number.
 * @param cycles cycles per sample, any real number
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

interface Twiddles {
  readonly cos: Float64Array
  readonly sin: Float64Array
}

/** Cached by length, because they cost as much as the transform itself. */
const twiddles = new Map<number, Twiddles>()

function twiddlesOf(points: number): Twiddles {
  const known = twiddles.get(points)
  if (known) return known
  const angles = Float64Array.from(
    { length: points / 2 },
    (_, k) => (-2 * Math.PI * k) / points,
  )
  const made = { cos: angles.map(Math.cos), sin: angles.map(Math.sin) }
  twiddles.set(points, made)
  return made
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
