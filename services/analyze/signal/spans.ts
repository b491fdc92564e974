import type { Range } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** Maximum length of a track that is analyzed as a whole, seconds. */
const WHOLE_TRACK_SECONDS = 600
const SPAN_SECONDS = 25
const CHECK_SECONDS = 25
const CHECKS_AT_MOST = 6

/**
 * The samples to analyze: the whole track up to ten minutes; of a longer track ten minutes, as 24 spans of 25 s
 * spread evenly from the first sample to the last. Cost and memory are thus bounded for any length, and each
 * track of a mix is met at least once.
 */
export function analysisSpans(samples: number): readonly Range[] {
  if (samples <= WHOLE_TRACK_SECONDS * SAMPLE_RATE) return [{ start: 0, end: samples }]
  const count = WHOLE_TRACK_SECONDS / SPAN_SECONDS
  return spread({ start: 0, end: samples }, count, SPAN_SECONDS * SAMPLE_RATE)
}

/**
 * Up to six windows of 25 s, each within one of `spans`, for computations that are too expensive for the whole
 * track. A track shorter than 25 s is one window.
 */
export function checkWindows(spans: readonly Range[]): readonly Range[] {
  const length = CHECK_SECONDS * SAMPLE_RATE
  const only = spans.length === 1 ? spans[0] : undefined
  if (only) {
    const count = Math.trunc((only.end - only.start) / length)
    return count < 1 ? [only] : spread(only, Math.min(count, CHECKS_AT_MOST), length)
  }
  const count = Math.min(spans.length, CHECKS_AT_MOST)
  return Array.from({ length: count }, (_, i) => {
    // The middles of `count` equal shares of the list, so that both ends of the track count alike.
    const span = spans[Math.trunc(((i + 0.5) * spans.length) / count)] as Range
    const start = span.start + Math.trunc((span.end - span.start - length) / 2)
    return { start, end: start + length }
  })
}

/**
 * `count` evenly spaced ranges of `length` samples. The first one starts with `whole`, the last one ends with
 * it.
 */
function spread(whole: Range, count: number, length: number): readonly Range[] {
  const room = whole.end - whole.start - length
  return Array.from({ length: count }, (_, i) => {
    const start = whole.start + Math.round(count === 1 ? room / 2 : (room * i) / (count - 1))
    return { start, end: start + length }
  })
}
