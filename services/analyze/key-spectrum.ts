/** Samples of a frame: 0.37 s at 11,025 Hz, so that semitones from 80 Hz on are apart. */
export const FRAME = 4096
const HOP = FRAME / 2

const COSINES = Float64Array.from({ length: FRAME / 2 }, (_, i) =>
  Math.cos((2 * Math.PI * i) / FRAME),
)
const SINES = Float64Array.from({ length: FRAME / 2 }, (_, i) =>
  Math.sin((-2 * Math.PI * i) / FRAME),
)
/** Hann. */
const WINDOW = Float64Array.from(
  { length: FRAME },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / FRAME),
)
const REVERSED = Uint16Array.from({ length: FRAME }, (_, i) => {
  let reversed = 0
  for (let bit = 1; bit < FRAME; bit *= 2) reversed = 2 * reversed + (i & bit ? 1 : 0)
  return reversed
})

/**
 * Shows the magnitude spectra of a signal's frames, which overlap by half, one after another: bins 0 to
 * FRAME / 2, of which bin k lies at k × rate / FRAME. What is shorter than a frame is filled up with silence.
 * @param see Gets the spectrum, which is overwritten afterwards, and the sample in the middle of its frame.
 */
export function eachSpectrum(
  signal: Float32Array,
  see: (magnitudes: Float64Array, middle: number) => void,
): void {
  const re = new Float64Array(FRAME)
  const im = new Float64Array(FRAME)
  const magnitudes = new Float64Array(FRAME / 2 + 1)
  const count = Math.max(1, Math.floor((signal.length - FRAME) / HOP) + 1)
  for (let frame = 0; frame < count; frame += 2) {
    // Two real frames make one complex one, whose transform holds both.
    const both = frame + 1 < count
    load(signal, frame * HOP, re)
    if (both) load(signal, (frame + 1) * HOP, im)
    else im.fill(0)
    transform(re, im)
    for (const second of both ? [false, true] : [false]) {
      separate(re, im, second, magnitudes)
      see(magnitudes, (frame + Number(second)) * HOP + FRAME / 2)
    }
  }
}

/** A windowed frame in bit-reversed order, as `transform` wants it. */
function load(signal: Float32Array, from: number, into: Float64Array): void {
  for (let i = 0; i < FRAME; i++) {
    const k = REVERSED[i] as number
    into[i] = (signal[from + k] ?? 0) * (WINDOW[k] as number)
  }
}

/** Radix-2 fast Fourier transform in place, of numbers in bit-reversed order. */
function transform(re: Float64Array, im: Float64Array): void {
  for (let size = 2; size <= FRAME; size *= 2) {
    const half = size / 2
    const step = FRAME / size
    for (let start = 0; start < FRAME; start += size) {
      for (let k = 0; k < half; k++) {
        const i = start + k
        const j = i + half
        const c = COSINES[k * step] as number
        const s = SINES[k * step] as number
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

/** Magnitudes of the real frame that went in as real parts, or of the one that went in as imaginary parts. */
function separate(
  re: Float64Array,
  im: Float64Array,
  second: boolean,
  magnitudes: Float64Array,
): void {
  const sign = second ? -1 : 1
  for (let k = 0; k <= FRAME / 2; k++) {
    const mirror = (FRAME - k) % FRAME
    const x = (re[k] as number) + sign * (re[mirror] as number)
    const y = (im[k] as number) - sign * (im[mirror] as number)
    magnitudes[k] = Math.sqrt(x * x + y * y) / 2
  }
}
