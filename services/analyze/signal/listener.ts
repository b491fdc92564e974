import type { Range } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { BandEnergies } from './envelope.ts'
import { Halver, roomFor } from './halver.ts'
import { analysisSpans, checkWindows } from './spans.ts'

/** Sample rate of the signal from which the key is determined, Hz. */
export const LOW_RATE = SAMPLE_RATE / 4

/** Minimum length of a track that has a tempo and a key, seconds. */
const SHORTEST_SECONDS = 5
/** Mean square below which a second counts as silent: −70 dBFS. */
const SILENCE = 1e-7
/**
 * Weights of the left and the right channel. They differ, because a track whose channels are inverted copies of
 * each other would otherwise cancel out. With these weights it is 14 dB softer, which does not affect the
 * estimates.
 */
const LEFT = 0.6 / 32_768
const RIGHT = 0.4 / 32_768

/** The reason why a signal has neither tempo nor key. */
type Unfit = 'not finite' | 'silence' | 'too short'

/** What is kept of a track for the estimators. */
export interface Heard {
  /** The ranges of the track that were analyzed, samples at 44.1 kHz. */
  readonly spans: readonly Range[]
  /** Present if the track can have neither a tempo nor a key. */
  readonly unfit?: Unfit
  /** The band energies of each span, as `onsetEnvelopes` takes them. */
  readonly energies: readonly Float32Array[]
  /** All spans, one after the other, at 11,025 Hz. */
  readonly low: Float32Array
  /** Windows of mono at the full rate, at most 25 s each. */
  readonly windows: readonly Float32Array[]
}

/**
 * Analyzes a track once, piece by piece, and keeps what the estimators of tempo and key need: about 60 MB for
 * ten minutes of stereo.
 */
export class Listener {
  readonly spans: readonly Range[]
  readonly #samples: number
  readonly #windows: readonly Range[]
  readonly #kept: readonly Float32Array[]
  readonly #energies: Float32Array[] = []
  readonly #low: Float32Array
  #lowLength = 0
  #span = 0
  #at: number
  /** Reused for each piece. */
  #mono = new Float32Array(0)
  #bands: BandEnergies
  #halvers: readonly [Halver, Halver]
  #finite = true
  #loudest = 0
  #second = { samples: 0, sum: 0, squares: 0 }

  /** @param samples length of the track, samples */
  constructor(samples: number) {
    this.#samples = samples
    this.spans = analysisSpans(samples)
    this.#windows = checkWindows(this.spans)
    this.#kept = this.#windows.map(({ start, end }) => new Float32Array(end - start))
    const total = this.spans.reduce((sum, { start, end }) => sum + end - start, 0)
    this.#low = new Float32Array(Math.ceil(total / 4))
    this.#at = this.#current.start
    this.#bands = new BandEnergies(this.#current.end - this.#current.start)
    this.#halvers = halvers()
  }

  /** Takes the next samples of the spans, left and right interleaved. No piece crosses the end of a span. */
  hear(pcm: Int16Array): void {
    const samples = pcm.length / 2
    this.#mono = roomFor(this.#mono, samples)
    const mono = this.#mono.subarray(0, samples)
    for (let i = 0; i < samples; i++) {
      mono[i] = (pcm[2 * i] as number) * LEFT + (pcm[2 * i + 1] as number) * RIGHT
    }
    this.hearMono(mono)
  }

  /** Takes the next samples as a mono signal in ±1. */
  hearMono(mono: Float32Array): void {
    if (this.#at + mono.length > this.#current.end) throw new RangeError('past the span')
    this.#weigh(mono)
    this.#keep(mono)
    this.#bands.push(mono)
    const [first, second] = this.#halvers
    this.#keepLow(second.push(first.push(mono)))
    this.#at += mono.length
    if (this.#at === this.#current.end) this.#nextSpan()
  }

  /** Returns what was kept. The listener cannot be used afterwards. */
  heard(): Heard {
    this.#endSecond()
    const unfit = this.#unfit()
    return {
      spans: this.spans,
      ...(unfit && { unfit }),
      energies: this.#energies,
      low: this.#low,
      windows: this.#kept,
    }
  }

  #unfit(): Unfit | undefined {
    if (!this.#finite) return 'not finite'
    if (this.#loudest < SILENCE) return 'silence'
    return this.#samples < SHORTEST_SECONDS * SAMPLE_RATE ? 'too short' : undefined
  }

  get #current(): Range {
    return this.spans[Math.min(this.#span, this.spans.length - 1)] as Range
  }

  #nextSpan(): void {
    this.#energies.push(this.#bands.energies())
    this.#span++
    this.#at = this.#current.start
    this.#bands = new BandEnergies(this.#current.end - this.#current.start)
    this.#halvers = halvers()
  }

  /** Measures the power of each second without its DC offset. A track is silent if its loudest second is. */
  #weigh(mono: Float32Array): void {
    for (let i = 0; i < mono.length; ) {
      const second = this.#second
      const until = Math.min(mono.length, i + SAMPLE_RATE - second.samples)
      second.samples += until - i
      let { sum, squares } = second
      for (; i < until; i++) {
        const x = mono[i] as number
        sum += x
        squares += x * x
      }
      second.sum = sum
      second.squares = squares
      if (second.samples === SAMPLE_RATE) this.#endSecond()
    }
  }

  #endSecond(): void {
    const { samples, sum, squares } = this.#second
    if (samples === 0) return
    const power = squares / samples - (sum / samples) ** 2
    if (!Number.isFinite(power)) this.#finite = false
    this.#loudest = Math.max(this.#loudest, power)
    this.#second = { samples: 0, sum: 0, squares: 0 }
  }

  #keep(mono: Float32Array): void {
    this.#windows.forEach((window, i) => {
      const from = Math.max(window.start, this.#at)
      const to = Math.min(window.end, this.#at + mono.length)
      if (from >= to) return
      this.#kept[i]?.set(mono.subarray(from - this.#at, to - this.#at), from - window.start)
    })
  }

  #keepLow(samples: Float32Array): void {
    const fit = samples.subarray(0, this.#low.length - this.#lowLength)
    this.#low.set(fit, this.#lowLength)
    this.#lowLength += fit.length
  }
}

/** Two halvers, down to 11,025 Hz. Aliases stay above 3.5 kHz, which the key estimate ignores. */
function halvers(): readonly [Halver, Halver] {
  return [new Halver(7), new Halver(19)]
}
