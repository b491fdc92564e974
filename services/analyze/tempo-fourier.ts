/**
 * In-place radix-2 fast Fourier transform of a complex signal.
 * @param re Real parts; a power of two of them.
 * @param im Imaginary parts, as many.
 */
export function fourier(re: Float64Array, im: Float64Array): void {
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
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2
    for (let k = 0; k < half; k++) {
      const angle = (-2 * Math.PI * k) / size
      const c = Math.cos(angle)
      const s = Math.sin(angle)
      for (let i = k; i < n; i += size) {
        const j = i + half
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
 * Magnitude of one frequency of a signal.
 * @param cycles Cycles per sample, not bound to any grid.
 */
export function magnitudeAt(signal: Float32Array, cycles: number): number {
  const c = Math.cos(2 * Math.PI * cycles)
  const s = Math.sin(2 * Math.PI * cycles)
  let re = 0
  let im = 0
  let zr = 1
  let zi = 0
  for (let i = 0; i < signal.length; i++) {
    const x = signal[i] as number
    re += x * zr
    im += x * zi
    const t = zr * c - zi * s
    zi = zr * s + zi * c
    zr = t
  }
  return Math.hypot(re, im)
}

function swap(values: Float64Array, i: number, j: number): void {
  const value = values[i] as number
  values[i] = values[j] as number
  values[j] = value
}
