import { convert } from '#shared/audio/ffmpeg.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { mergedWarnings, type Warning } from '#shared/contracts/warnings.ts'
import { type CodedLayout, describeLayout } from '../formats/layout.ts'
import { nothingNoticed, noticeLine } from '../formats/noticed.ts'
import { type OggSurvey, oggSurvey, oggWarnings } from '../formats/ogg/survey.ts'
import { checkPackets } from '../formats/packet-count.ts'
import { codedBytes, noticeRest } from '../formats/survey.ts'
import { stereoMix } from './downmix.ts'
import { PartWriter } from './part-writer.ts'
import { ROLL_SECONDS, type StageOptions, scaled, TAIL_SAMPLES } from './range.ts'
import { streamWarnings } from './stream-warnings.ts'

/**
 * Timestamps in a compressed stream need not fit its samples, so the limit is generous, seconds. Only samples
 * are counted.
 */
const CODED_MARGIN_SECONDS = 3600
/** Samples in a day. */
const MAX_SAMPLES = 86_400 * SAMPLE_RATE

/** The result of converting a piece of a stream that can only be decoded from its beginning. */
export interface Staged {
  /** The end of the parts that were made, samples. */
  readonly end: number
  /** Whether the stream ends there. */
  readonly isOver: boolean
  /**
   * Set if `isOver`: what is missing or wrong in the whole stream. It is the same, whichever step comes to the
   * end.
   */
  readonly warnings?: readonly Warning[]
}

interface StreamOptions extends StageOptions {
  /** Maximum length of a track, samples. */
  readonly mostSamples: number
  /** Called at `end`, and at the end of each further part. Returns whether to make another part. Default: no. */
  readonly goesOn?: () => boolean
}

/**
 * Makes the WAV parts from sample `start` to `end`, or to the end of the stream, of a master that can only be
 * decoded from its beginning. What precedes `start` is decoded and discarded. The parts are the same for any
 * `start` and `end`.
 * @throws PermanentError MASTER_UNREADABLE; TOO_LONG_TO_STAGE when the stream continues behind `mostSamples`
 */
export async function stageStream(
  layout: CodedLayout,
  options: StreamOptions,
): Promise<Staged> {
  const { file, start, partSamples, write, mostSamples, goesOn = () => false, signal } = options
  let { end } = options
  const { demuxer, decoder, rate, channels } = layout
  const second = start / SAMPLE_RATE
  const before = Math.min(second, ROLL_SECONDS)
  const mix = stereoMix(channels, layout.mask)
  const maxSeconds = Math.min(mostSamples, MAX_SAMPLES) / SAMPLE_RATE + CODED_MARGIN_SECONDS
  const skip = (layout.skip ?? 0) + (second - before) * rate
  // The first step surveys an Ogg in order to refuse it early, and the last step in order to warn.
  const early = start === 0 ? await oggSurvey(layout, file, signal) : undefined
  if (early !== undefined) checkOgg(layout, early, { bytes: file.bytes, mostSamples })
  const noticed = nothingNoticed()
  const onComplaint = (line: string) => noticeLine(noticed, line, decoder)
  const feed = { demuxer, decoder, rate, channels, mix, skip, maxSeconds, onComplaint }
  const padding = Math.round(((layout.padding ?? 0) * SAMPLE_RATE) / rate)
  const trackEnd =
    layout.samples === undefined ? Number.POSITIVE_INFINITY : scaled(layout.samples, rate)
  const parts = new PartWriter(
    { start, end: Math.min(end, trackEnd), partSamples, write },
    before * SAMPLE_RATE,
  )
  let bytes = 0
  const decoded = convert(codedBytes(layout, file, signal, noticed), feed, signal)
  for await (const piece of withoutEnd(decoded, (TAIL_SAMPLES + padding) * BYTES_PER_SAMPLE)) {
    bytes += piece.length
    const at = start - before * SAMPLE_RATE + bytes / BYTES_PER_SAMPLE
    if (at >= end && end < Math.min(mostSamples, trackEnd) && goesOn()) {
      end = Math.min(end + partSamples, mostSamples)
      parts.goOn(Math.min(end, trackEnd))
    }
    await parts.add(piece)
    if (at >= trackEnd) {
      // Read the rest of the packet, with what is noticed in it. A step that stopped right here would notice
      // only some of that.
      noticed.isEndedEarly = at > trackEnd + MAX_REST_SAMPLES
      if (noticed.isEndedEarly) break
    } else if (at > mostSamples) throw tooLong(layout, mostSamples)
    else if (at >= end && end < mostSamples) return { end: await parts.finish(), isOver: false }
  }
  const made = await parts.finish()
  if (made === 0) {
    throw new PermanentError('MASTER_UNREADABLE', `${describeLayout(layout)}: no samples in it`)
  }
  const ogg = early ?? (await oggSurvey(layout, file, signal))
  const warnings = mergedWarnings(
    streamWarnings(layout, made, noticed),
    oggWarnings(ogg, made),
    await noticeRest(layout, file, signal, noticed),
  )
  return { end: made, isOver: true, warnings }
}

/** Allowance for pre-skip, headers and samples that are left out at an end, seconds. */
const OGG_SLACK_SECONDS = 10

/**
 * Refuses, before any decoding, an Ogg that is too long or that cannot be music.
 * @throws PermanentError
 */
function checkOgg(
  layout: CodedLayout,
  { seconds, leastSeconds, packets }: OggSurvey,
  { bytes, mostSamples }: { bytes: number; mostSamples: number },
): void {
  const most = mostSamples / SAMPLE_RATE
  const longest = Math.max(seconds, leastSeconds - OGG_SLACK_SECONDS)
  if (longest > most + 1) throw tooLong(layout, mostSamples, longest)
  checkPackets(describeLayout(layout), packets, bytes)
}

/** How far a stream is read behind the end of its music, samples: an edit list may silently leave out this much. */
const MAX_REST_SAMPLES = 1.1 * SAMPLE_RATE

export function tooLong(
  layout: Parameters<typeof describeLayout>[0],
  mostSamples: number,
  seconds?: number,
): PermanentError {
  const limit = `${(mostSamples / SAMPLE_RATE / 60).toFixed(1).replace('.0', '')} min`
  const length =
    seconds === undefined
      ? `that goes on after ${limit}, which is the limit`
      : `of ${(seconds / 60).toFixed(1)} min; the limit is ${limit}`
  return new PermanentError('TOO_LONG_TO_STAGE', `${describeLayout(layout)} ${length}`)
}

/** Yields everything except the last `most` bytes. */
async function* withoutEnd(
  pieces: AsyncIterable<Uint8Array>,
  most: number,
): AsyncGenerator<Uint8Array> {
  const held: Uint8Array[] = []
  let bytes = 0
  for await (const piece of pieces) {
    held.push(piece)
    bytes += piece.length
    for (let first = held[0]; first !== undefined && bytes > most; first = held[0]) {
      const free = Math.min(first.length, bytes - most)
      yield first.subarray(0, free)
      bytes -= free
      if (free === first.length) held.shift()
      else held[0] = first.subarray(free)
    }
  }
}
