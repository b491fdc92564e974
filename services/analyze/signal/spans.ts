import type { Range } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'

/** Up to here a track is listened to as a whole, seconds. */
const WHOLE_TRACK_SECONDS = 600
const SPAN_SECONDS = 25
const CHECK_SECONDS = 25
const CHECKS_AT_MOST = 6

/**
 * The samples that analysis listens to: the whole track up to ten minutes, and beyond that ten
 * minutes all the same, as 24 spans of 25 s spread evenly from the first sample to the last: so
 * cost and memory are bounded whatever the length, and each tune of a mix is met at least once.
 */
export function analysisSpans(samples: number): readonly Range[] {
  if (samples <= WHOLE_TRACK_SECONDS * SAMPLE_RATE) return [{ start: 0, end: samples }]
  const count = WHOLE_TRACK_SECONDS / SPAN_SECONDS
  return spread({ start: 0, end: samples }, count, SPAN_SECONDS * SAMPLE_RATE)
}

/**
 * Up to six windows of 25 s, each within one of `spans`, for what costs too much to be
 * done throughout. A track shorter than that is one window.
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
    // The middles of `count` equal shares of the list, so that neither end of the track is favoured.
    const span = spans[Math.trunc(((i + 0.5) * spans.length) / count)] as Range
    const start = span.start + Math.trunc((span.end - span.start - length) / 2)
    return { start, end: start + length }
  })
}

/** `count` ranges of `length` samples, evenly spaced: the first and last touch the ends of `whole`. */
function spread(whole: Range, count: number, length: number): readonly Range[] {
  const room = whole.end - whole.start - length
  return Array.from({ length: count }, (_, i) => {
    const start = whole.start + Math.round(count === 1 ? room / 2 : (room * i) / (count - 1))
    return { start, end: start + length }
  })
}
