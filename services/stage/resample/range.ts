import { convert, type Feed } from '#shared/audio/ffmpeg.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { mergedWarnings, type Warning } from '#shared/contracts/warnings.ts'
import type { MasterBytes } from '../formats/byte-window.ts'
import { flacFrameAt } from '../formats/flac/frames.ts'
import {
  type CodedLayout,
  describeLayout,
  type FlacLayout,
  frameBytes,
  type Layout,
  type PcmLayout,
} from '../formats/layout.ts'
import { nothingNoticed, noticeLine } from '../formats/noticed.ts'
import { type OggSurvey, oggSurvey, oggWarnings } from '../formats/ogg/survey.ts'
import { checkPackets } from '../formats/packet-count.ts'
import { codedBytes, noticeRest } from '../formats/survey.ts'
import { stereoMix } from './downmix.ts'
import { finite } from './finite.ts'
import { type NoNumbers, NoNumbersSeen, noNumberWarnings } from './no-numbers.ts'
import { PartWriter, type WritePart } from './part-writer.ts'
import { raised } from './raised.ts'
import { streamWarnings } from './stream-warnings.ts'

/** Masters in which any sample can be found. */
export type SeekableLayout = PcmLayout | FlacLayout

export interface StageOptions {
  readonly file: MasterBytes
  /** Samples at 44.1 kHz; `start` is a whole second. */
  readonly start: number
  readonly end: number
  /** Length of every part but the track's last: whole seconds. */
  readonly partSamples: number
  /** Keeps the samples [start, end), a WAV file. Called in order, one at a time. */
  readonly write: WritePart
  /** Told, before a part is kept, of what in it is no number. */
  readonly onNoNumbers?: (found: NoNumbers) => Promise<void>
  readonly signal: AbortSignal
}

/** Longer than the resampler's filter spans at any rate: what is before and behind a range, seconds. */
const ROLL_SECONDS = 1
const TAIL_SAMPLES = ROLL_SECONDS * SAMPLE_RATE
/** A resampler may round the length either way; a lost FLAC frame is 16 samples or more. */
const ROUNDING_SAMPLES = 4
/** How much longer than what is wanted ffmpeg would read of a stream that has more, seconds. */
const MARGIN_SECONDS = 10
/** Times in a compressed stream need not fit its samples: only the samples are counted. */
const CODED_MARGIN_SECONDS = 3600
/** A day. */
const MAX_SAMPLES = 86_400 * SAMPLE_RATE

/** Length at 44.1 kHz: n samples at rate r become round(n × 44100 / r), and at least one. */
export function samplesAt44100({ samples, rate }: SeekableLayout): number {
  return scaled(samples, rate)
}

function scaled(samples: number, rate: number): number {
  return Math.max(1, Math.round((samples * SAMPLE_RATE) / rate))
}

/**
 * Makes the WAV parts of the samples [start, end) out of a master in which any sample can be found; `end` is a whole
 * second, or the end of the track. The parts are the same, bit for bit, however a track is cut into ranges: a range
 * begins where input and output both have a whole sample, and what the resampler's filter spans is read before and
 * behind it.
 * @throws PermanentError MASTER_UNREADABLE when a FLAC stream does not hold what it says.
 */
export async function stageRange(layout: SeekableLayout, options: StageOptions): Promise<void> {
  const { start, end, partSamples } = options
  if (isPeriodic(layout.rate)) return convertRange(layout, options)
  // The phases of the filter are rounded, and not always to the same side: only a run of its own is the same always.
  for (let at = start; at < end; at += partSamples) {
    await convertRange(layout, { ...options, start: at, end: Math.min(end, at + partSamples) })
  }
}

/** Whether the resampler has a filter of its own for each place that a sample may fall on: FFmpeg, libswresample. */
export function isPeriodic(rate: number): boolean {
  return SAMPLE_RATE / greatestDivisor(rate, SAMPLE_RATE) <= MAX_PHASES
}

const MAX_PHASES = 1024

async function convertRange(layout: SeekableLayout, options: StageOptions): Promise<void> {
  const { start, end, signal } = options
  const { rate } = layout
  const second = start / SAMPLE_RATE
  const before = Math.min(second, ROLL_SECONDS)
  const from = (second - before) * rate
  const isLast = end === samplesAt44100(layout)
  const to = isLast ? layout.samples : (end / SAMPLE_RATE + ROLL_SECONDS) * rate
  const input = await (layout.kind === 'pcm' ? pcmInput : flacInput)(
    layout as PcmLayout & FlacLayout,
    options,
    { from, to: Math.min(to, layout.samples) },
  )
  const { seen } = input
  const write: WritePart = async (start, end, wav) => {
    const found = seen?.of(start)
    if (found !== undefined) await options.onNoNumbers?.(found)
    await options.write(start, end, wav)
  }
  const parts = new PartWriter({ ...options, write }, before * SAMPLE_RATE)
  let bytes = 0
  const { skip, samples } = input
  const maxSeconds = (skip + samples) / rate + MARGIN_SECONDS
  const feed = { ...feedOf(layout), skip, maxSeconds }
  for await (const piece of convert(input.bytes, feed, signal)) {
    await parts.add(piece)
    bytes += piece.length
  }
  const came = bytes / BYTES_PER_SAMPLE - TAIL_SAMPLES
  const wanted = Math.round((samples * SAMPLE_RATE) / rate)
  const tolerance = rate === SAMPLE_RATE ? 0 : ROUNDING_SAMPLES
  if (Math.abs(came - wanted) > tolerance) throw wrongCount(layout, { came, wanted, from })
  await parts.finish()
}

function wrongCount(
  layout: SeekableLayout,
  { came, wanted, from }: { came: number; wanted: number; from: number },
): Error {
  if (layout.kind === 'pcm') return new Error(`ffmpeg gave ${came} samples, not ${wanted}`)
  const seconds = (samples: number) => (samples / SAMPLE_RATE).toFixed(3)
  return new PermanentError(
    'MASTER_UNREADABLE',
    `the FLAC stream is damaged or cut short: of the ${seconds(wanted)} s from second ${(from / layout.rate).toFixed(0)} on, ${seconds(came)} s can be decoded; its header promises ${layout.samples} samples`,
  )
}

/** What ffmpeg is fed with, and how many samples come out behind those that are skipped. */
interface Input {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly skip: number
  readonly samples: number
  /** What of them is no number, as far as they have come. */
  readonly seen?: NoNumbersSeen
}

interface Samples {
  readonly from: number
  readonly to: number
}

async function pcmInput(
  layout: PcmLayout,
  { file, signal, partSamples }: StageOptions,
  { from, to }: Samples,
): Promise<Input> {
  const at = (sample: number) => layout.offset + sample * frameBytes(layout)
  const bare = file.stream(at(from), at(to), signal)
  const seen =
    layout.encoding === 'float' ? new NoNumbersSeen(layout, from, partSamples) : undefined
  const numbers =
    seen !== undefined
      ? finite(bare, layout, seen)
      : layout.lowBits === undefined
        ? bare
        : raised(bare, layout)
  const rest = { samples: to - from, ...(seen === undefined ? {} : { seen }) }
  const pieces = numbers[Symbol.asyncIterator]()
  const first = await pieces.next()
  const isTagLike = !first.done && Buffer.from(first.value).toString('latin1', 0, 3) === 'ID3'
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      // ffmpeg would leave out what looks like a tag, before bare samples too.
      if (isTagLike) yield Buffer.alloc(frameBytes(layout))
      for (let next = first; !next.done; next = await pieces.next()) yield next.value
    } finally {
      await pieces.return?.(undefined)
    }
  }
  return { bytes: bytes(), skip: isTagLike ? 1 : 0, ...rest }
}

/** Whole frames, so that one that cannot be decoded is missed. */
async function flacInput(
  layout: FlacLayout,
  { file, signal }: StageOptions,
  { from, to }: Samples,
): Promise<Input> {
  const longest = new DataView(layout.streamInfo.buffer).getUint16(2)
  const isToEnd = to + longest >= layout.samples
  const first = await flacFrameAt(file, layout, from, signal)
  const next = isToEnd ? undefined : await flacFrameAt(file, layout, to + longest, signal)
  const { byte = layout.end, sample = layout.samples } = next ?? {}
  async function* bytes(): AsyncGenerator<Uint8Array> {
    // Pictures, tags and cue sheets stay behind: the frames need nothing but STREAMINFO.
    yield Buffer.from('fLaC', 'latin1')
    yield Buffer.from([0x80, 0, 0, layout.streamInfo.length])
    yield layout.streamInfo
    yield* file.stream(first.byte, byte, signal)
  }
  return { bytes: bytes(), skip: from - first.sample, samples: sample - from }
}

function feedOf(layout: SeekableLayout): Omit<Feed, 'skip' | 'maxSeconds'> {
  const { rate, channels } = layout
  const mix = stereoMix(channels, layout.mask)
  if (layout.kind === 'flac') return { demuxer: 'flac', decoder: 'flac', rate, channels, mix }
  return { demuxer: rawFormat(layout), rate, channels, mix }
}

/** As ffmpeg names bare samples. */
function rawFormat({ encoding, bits, unsigned, bigEndian }: PcmLayout): string {
  if (encoding === 'alaw' || encoding === 'mulaw') return encoding
  if (encoding === 'float') return `f${bits}le`
  const order = bits === 8 ? '' : bigEndian ? 'be' : 'le'
  return `${unsigned ? 'u' : 's'}${bits}${order}`
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}

/** What became of a piece of a stream that is decoded from its beginning. */
export interface Staged {
  /** Up to here the parts are made. */
  readonly end: number
  /** Whether the stream ends there. */
  readonly isOver: boolean
  /** Once it does: what is missing or wrong in it, the same whatever the step that has come to its end. */
  readonly warnings?: readonly Warning[]
}

interface StreamOptions extends StageOptions {
  /** How long a track may be. */
  readonly mostSamples: number
  /** Asked at `end`, and at the end of each part from there on: whether to make another. */
  readonly goesOn?: () => boolean
}

/**
 * Makes the WAV parts from sample `start` to `end`, or to the end of the stream, of a master that can only be decoded
 * from its beginning: what is before `start` is decoded and left out. The parts are the same whatever `start` and `end`.
 * @throws PermanentError MASTER_UNREADABLE; TOO_LONG_TO_STAGE when the stream goes on behind `mostSamples`.
 */
export async function stageStream(
  layout: CodedLayout,
  { mostSamples, goesOn = () => false, ...options }: StreamOptions,
): Promise<Staged> {
  const { file, start, partSamples, signal } = options
  let { end } = options
  const { demuxer, decoder, rate, channels } = layout
  const second = start / SAMPLE_RATE
  const before = Math.min(second, ROLL_SECONDS)
  const mix = stereoMix(channels, layout.mask)
  const maxSeconds = Math.min(mostSamples, MAX_SAMPLES) / SAMPLE_RATE + CODED_MARGIN_SECONDS
  const skip = (layout.skip ?? 0) + (second - before) * rate
  // At once, for what is refused; and by the step that comes to the end.
  const early = start === 0 ? await oggSurvey(layout, file, signal) : undefined
  if (early !== undefined) checkOgg(layout, early, { bytes: file.bytes, mostSamples })
  const noticed = nothingNoticed()
  const onComplaint = (line: string) => noticeLine(noticed, line, decoder)
  const feed = { demuxer, decoder, rate, channels, mix, skip, maxSeconds, onComplaint }
  const padding = Math.round(((layout.padding ?? 0) * SAMPLE_RATE) / rate)
  const trackEnd =
    layout.samples === undefined ? Number.POSITIVE_INFINITY : scaled(layout.samples, rate)
  const most = { ...options, end: Math.min(end, trackEnd) }
  const parts = new PartWriter(most, before * SAMPLE_RATE)
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
      // What is left of a packet, and what is noticed of it: a step that stopped here would notice some of it.
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

/** What is pre-skip, headers or left out at an end. */
const OGG_SLACK_SECONDS = 10

/** What takes long to decode and is refused in the end, or is no music, is not begun. @throws PermanentError */
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

/** How far a stream is read on behind the end of its music: what an edit list leaves out without a word. */
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

/** All but the last `most` bytes of what comes. */
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

/** Length of a part, samples: a minute. */
export const PART_SAMPLES = 60 * SAMPLE_RATE

/**
 * The whole of a master at once, as so many steps would make it: for tools that have no chain.
 * @throws as `stageRange` and `stageStream`
 */
export async function stageMaster(
  layout: Layout,
  {
    partSamples = PART_SAMPLES,
    mostSamples = Number.POSITIVE_INFINITY,
    ...options
  }: Pick<StageOptions, 'file' | 'write' | 'signal'> & {
    readonly partSamples?: number
    readonly mostSamples?: number
  },
): Promise<{ samples: number; partSamples: number; warnings?: readonly Warning[] }> {
  if (layout.kind !== 'coded') {
    const samples = samplesAt44100(layout)
    const none: NoNumbers[] = []
    const onNoNumbers = async (found: NoNumbers) => void none.push(found)
    const range = { partSamples, start: 0, end: samples, onNoNumbers }
    await stageRange(layout, { ...options, ...range })
    return { samples, partSamples, warnings: noNumberWarnings(layout, none) }
  }
  const range = { partSamples, start: 0, end: mostSamples, mostSamples }
  const { end: samples, warnings = [] } = await stageStream(layout, { ...options, ...range })
  return { samples, partSamples, warnings }
}
