import { magnitudesOfTwo } from '../signal/fourier.ts'

/** Number of samples in a frame: 0.37 s at 11,025 Hz, long enough to separate semitones from 80 Hz on. */
export const FRAME = 4096
const HOP = FRAME / 2

/** A Hann window. */
const WINDOW = Float64Array.from(
  { length: FRAME },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / FRAME),
)

/**
 * Calls `see` with the magnitude spectrum of each frame of a signal, one after another. Frames overlap by half.
 * The spectrum has bins 0 to FRAME / 2; bin k lies at k × rate / FRAME. A signal shorter than a frame is padded
 * with silence.
 * @param see receives the spectrum and the sample in the middle of its frame
 */
export function eachSpectrum(
  signal: Float32Array,
  see: (magnitudes: Float32Array, middle: number) => void,
): void {
  const count = Math.max(1, Math.floor((signal.length - FRAME) / HOP) + 1)
  const one = new Float64Array(FRAME)
  const other = new Float64Array(FRAME)
  for (let frame = 0; frame < count; frame += 2) {
    const both = frame + 1 < count
    load(signal, frame * HOP, one)
    if (both) load(signal, (frame + 1) * HOP, other)
    else other.fill(0)
    const spectra = magnitudesOfTwo(one, other, FRAME / 2 + 1)
    for (const [i, magnitudes] of spectra.slice(0, both ? 2 : 1).entries()) {
      see(magnitudes, (frame + i) * HOP + FRAME / 2)
    }
  }
}

function load(signal: Float32Array, from: number, into: Float64Array): void {
  for (let i = 0; i < FRAME; i++) into[i] = (signal[from + i] ?? 0) * (WINDOW[i] as number)
}
