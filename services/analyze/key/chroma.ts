import { FRAME } from './spectrum.ts'

/** Number of bins per semitone: each is ten cents. */
const PARTS = 10
const BINS = 12 * PARTS
/**
 * The range of notes, E2 to C7, as MIDI numbers. Below it neighbouring notes cannot be separated; above it are
 * overtones.
 */
const LOWEST = 40
const HIGHEST = 96
/** Minimum magnitude of a peak, as a share of the frame's loudest one: −80 dB. */
const FAINT = 1e-4
/** Minimum magnitude of the loudest peak: a sine of −70 dBFS in a frame under a Hann window. */
const SILENCE = (10 ** (-70 / 20) * FRAME) / 4

/**
 * How much of each pitch class was heard, in tenths of a semitone from C at 440 Hz tuning. Bin 0 is C, bin 5 is
 * halfway to C#.
 */
export class FineChroma {
  readonly bins = new Float64Array(BINS)

  /**
   * Adds a frame. The magnitudes of its spectral peaks are divided by the loudest one, so that loud passages
   * count no more than soft ones. Silent frames add nothing.
   */
  addFrame(magnitudes: Float32Array, sampleRate: number): void {
    const first = Math.ceil(binOf(LOWEST, sampleRate))
    const last = Math.min(magnitudes.length - 2, Math.floor(binOf(HIGHEST, sampleRate)))
    let loudest = 0
    for (let k = 1; k <= last; k++) loudest = Math.max(loudest, magnitudes[k] as number)
    if (!(loudest > SILENCE && loudest < Number.POSITIVE_INFINITY)) return
    for (let k = first; k <= last; k++) {
      const here = magnitudes[k] as number
      const before = magnitudes[k - 1] as number
      const after = magnitudes[k + 1] as number
      if (here < FAINT * loudest || here <= before || here < after) continue
      const { offset, height } = vertex(before, here, after)
      const hz = ((k + offset) * sampleRate) / FRAME
      const tenths = Math.floor((69 + 12 * Math.log2(hz / 440)) * PARTS + 0.5)
      const bin = ((tenths % BINS) + BINS) % BINS
      this.bins[bin] = (this.bins[bin] as number) + height / loudest
    }
  }

  /** Adds the contents of another chroma. */
  add(other: FineChroma): this {
    for (let i = 0; i < BINS; i++) {
      this.bins[i] = (this.bins[i] as number) + (other.bins[i] as number)
    }
    return this
  }

  /** The sum of all bins. */
  total(): number {
    return this.bins.reduce((sum, value) => sum + value, 0)
  }

  /**
   * How far the pitches lie above 440 Hz tuning, semitones in [−½, ½), and how well they agree on it: 1 when
   * all deviate alike, 0 when they are spread evenly. Computed as the circular mean over a semitone.
   */
  tuning(): { readonly deviation: number; readonly agreement: number } {
    const sum = this.total()
    let x = 0
    let y = 0
    for (let i = 0; i < BINS; i++) {
      const angle = (2 * Math.PI * i) / PARTS
      const weight = this.bins[i] as number
      x += weight * Math.cos(angle)
      y += weight * Math.sin(angle)
    }
    if (sum === 0) return { deviation: 0, agreement: 0 }
    return { deviation: Math.atan2(y, x) / (2 * Math.PI), agreement: Math.hypot(x, y) / sum }
  }

  /** The twelve pitch classes from C of an instrument tuned `deviation` semitones above 440 Hz. */
  pitchClasses(deviation: number): Float64Array {
    const classes = new Float64Array(12)
    for (let i = 0; i < BINS; i++) {
      const pitch = i / PARTS - deviation
      const nearest = Math.round(pitch)
      const weight = Math.cos(Math.PI * (pitch - nearest))
      const at = (nearest + 12) % 12
      classes[at] = (classes[at] as number) + weight * (this.bins[i] as number)
    }
    return classes
  }
}

function binOf(midi: number, sampleRate: number): number {
  return (440 * 2 ** ((midi - 69) / 12) * FRAME) / sampleRate
}

/** The vertex of the parabola through the logarithms of three neighbouring magnitudes, bins from the middle one. */
function vertex(before: number, here: number, after: number) {
  const a = Math.log(before + Number.MIN_VALUE)
  const b = Math.log(here)
  const c = Math.log(after + Number.MIN_VALUE)
  const offset = (0.5 * (a - c)) / (a - 2 * b + c)
  return { offset, height: Math.exp(b - 0.25 * (a - c) * offset) }
}
