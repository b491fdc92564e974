import type { Range } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { FineChroma } from './chroma.ts'
import { eachSpectrum } from './spectrum.ts'

/** The input of the key estimate. */
export interface KeyInput {
  /** The ranges of the track that were analyzed, samples at 44.1 kHz. */
  readonly spans: readonly Range[]
  /** All spans, one after the other, mono, at `rate`. */
  readonly low: Float32Array
  /** Sample rate of `low`, Hz. */
  readonly rate: number
}

/** A few seconds of a track. */
export interface Segment {
  /** Seconds from the start of the track. */
  readonly from: number
  readonly to: number
  /** How much of each pitch class was heard, from C. */
  readonly classes: Float64Array
}

interface Segments {
  /** The segments in order. Those of one span are adjacent. */
  readonly segments: readonly Segment[]
  /** How far the track's pitches lie above those of 440 Hz tuning, semitones in [−½, ½). */
  readonly deviation: number
  /** How well the pitches of a span agree on a tuning: 0 (noise, speech, drums) to 1. */
  readonly agreement: number
}

const SEGMENT_SECONDS = 5
/** Maximum number of segments beyond one per span. It bounds the size of the result. */
const MAX_SEGMENTS = 100

/**
 * Determines the pitch classes of a track in segments of some seconds. Each span has a tuning of its own,
 * because in a mix each track may be played at a different speed.
 */
export function hearSegments({ spans, low, rate }: KeyInput): Segments {
  const total = spans.reduce((sum, { start, end }) => sum + end - start, 0)
  const length = Math.max(SEGMENT_SECONDS * SAMPLE_RATE, total / MAX_SEGMENTS)
  const segments: Segment[] = []
  const whole = new FineChroma()
  let agreed = 0
  let at = 0
  for (const { start, end } of spans) {
    // In proportion, so that the rounding of the spans' lengths does not accumulate.
    const from = Math.round((low.length * at) / Math.max(1, total))
    at += end - start
    const to = Math.round((low.length * at) / Math.max(1, total))
    const count = Math.max(1, Math.floor((end - start) / length))
    const chromas = chromasOf(low.subarray(from, to), rate, count)
    const all = chromas.reduce((sum, chroma) => sum.add(chroma), new FineChroma())
    const { deviation, agreement } = all.tuning()
    whole.add(all)
    agreed += agreement * all.total()
    const second = (i: number) => (start + ((end - start) * i) / count) / SAMPLE_RATE
    segments.push(
      ...chromas.map((chroma, i) => ({
        from: second(i),
        to: second(i + 1),
        classes: chroma.pitchClasses(deviation),
      })),
    )
  }
  const sum = whole.total()
  const agreement = sum > 0 ? agreed / sum : 0
  return { segments, deviation: whole.tuning().deviation, agreement }
}

function chromasOf(signal: Float32Array, rate: number, count: number): readonly FineChroma[] {
  const chromas = Array.from({ length: count }, () => new FineChroma())
  eachSpectrum(signal, (magnitudes, middle) => {
    const index = Math.min(count - 1, Math.floor((middle * count) / signal.length))
    chromas[index]?.addFrame(magnitudes, rate)
  })
  return chromas
}
