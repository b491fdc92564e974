import { fourier } from './tempo-fourier.ts'

/** Points of a transform: at 11,025 Hz a third of a second. */
const POINTS = 4096
const FRAMES_AT_MOST = 64
/** Lower edges of the octaves that are looked at, Hz. */
const OCTAVES = [110, 220, 440, 880, 1760]
/** Power below which a frame is silent: −70 dBFS. */
const SILENCE = 1e-7
/**
 * White noise has a flatness of 0.54 and more in nine tenths of its frames, brown noise of 0.50;
 * music, of which it is enough that a tenth is tonal, seldom exceeds 0.3.
 */
const TONAL = 0.45

/**
 * Whether there are tones in a signal, of which a key could be made: whether its spectrum, octave
 * by octave, is less flat than that of noise in at least a tenth of it.
 */
export function isTonal(mono: Float32Array, sampleRate: number): boolean {
  const count = Math.max(1, Math.min(FRAMES_AT_MOST, Math.trunc(mono.length / POINTS)))
  const flatnesses: number[] = []
  for (let i = 0; i < count; i++) {
    const room = Math.max(0, mono.length - POINTS)
    const start = count === 1 ? 0 : Math.trunc((room * i) / (count - 1))
    const frame = mono.subarray(start, start + POINTS)
    if (powerOf(frame) > SILENCE) flatnesses.push(flatness(frame, sampleRate))
  }
  flatnesses.sort((a, b) => a - b)
  return (flatnesses[Math.trunc(flatnesses.length / 10)] ?? 1) < TONAL
}

/** Geometric over arithmetic mean of the power spectrum, averaged over octaves: 0 for tones. */
function flatness(frame: Float32Array, sampleRate: number): number {
  const re = new Float64Array(POINTS)
  const im = new Float64Array(POINTS)
  for (let i = 0; i < frame.length; i++) {
    const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / POINTS)
    re[i] = (frame[i] as number) * window
  }
  fourier(re, im)
  let sum = 0
  for (const hz of OCTAVES) {
    const from = Math.round((hz * POINTS) / sampleRate)
    let power = 0
    let logarithms = 0
    for (let bin = from; bin < 2 * from; bin++) {
      // The addend keeps digital silence within an octave from being minus infinity.
      const value = (re[bin] as number) ** 2 + (im[bin] as number) ** 2 + 1e-12
      power += value
      logarithms += Math.log(value)
    }
    sum += Math.exp(logarithms / from) / (power / from)
  }
  return sum / OCTAVES.length
}

function powerOf(frame: Float32Array): number {
  let squares = 0
  for (const value of frame) squares += value * value
  return squares / frame.length
}
