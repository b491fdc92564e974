import { convert, type Feed } from '#shared/audio/ffmpeg.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { MasterBytes } from '../formats/byte-window.ts'
import { flacFrameAt } from '../formats/flac/frames.ts'
import { type FlacLayout, frameBytes, type PcmLayout } from '../formats/layout.ts'
import { stereoMix } from './downmix.ts'
import { finite } from './finite.ts'
import { type NoNumbers, NoNumbersSeen } from './no-numbers.ts'
import { PartWriter, type WritePart } from './part-writer.ts'
import { raised } from './raised.ts'

/** A master in which any sample can be located. */
export type SeekableLayout = PcmLayout | FlacLayout

export interface StageOptions {
  readonly file: MasterBytes
  /** The range [start, end) to convert, samples at 44.1 kHz. `start` is a whole second. */
  readonly start: number
  readonly end: number
  /** Length of every part except the track's last, samples: whole seconds. */
  readonly partSamples: number
  /** Stores the samples [start, end) as a WAV file. Called in order, one call at a time. */
  readonly write: WritePart
  /** Called before a part is stored, if the part has numbers that are NaN or infinite. */
  readonly onNoNumbers?: (found: NoNumbers) => Promise<void>
  readonly signal: AbortSignal
}

/**
 * What is read before and behind a range, seconds. It is longer than the span of the resampler's filter at any
 * rate.
 */
export const ROLL_SECONDS = 1
export const TAIL_SAMPLES = ROLL_SECONDS * SAMPLE_RATE
/** The resampler may round the length up or down. A lost FLAC frame is 16 samples or more. */
const ROUNDING_SAMPLES = 4
/** How far beyond the wanted samples ffmpeg may read a stream that has more, seconds. */
const MARGIN_SECONDS = 10

/** The length at 44.1 kHz: n samples at rate r become round(n × 44100 / r), and at least one. */
export function samplesAt44100({ samples, rate }: SeekableLayout): number {
  return scaled(samples, rate)
}

/** The same for `samples` at `rate` Hz. */
export function scaled(samples: number, rate: number): number {
  return Math.max(1, Math.round((samples * SAMPLE_RATE) / rate))
}

/**
 * Makes the WAV parts of the samples [start, end) from a master in which any sample can be located. `end` is a
 * whole second or the end of the track. The parts are the same, bit for bit, however a track is cut into
 * ranges: a range begins where input and output both have a whole sample, and the span of the resampler's
 * filter is read before and behind it.
 * @throws PermanentError MASTER_UNREADABLE when a FLAC stream does not hold what its header says
 */
export async function stageRange(layout: SeekableLayout, options: StageOptions): Promise<void> {
  const { start, end, partSamples } = options
  if (isPeriodic(layout.rate)) return convertRange(layout, options)
  // The phases of the filter are rounded, and not always in the same direction. Only a separate run for each
  // part gives the same bytes every time.
  for (let at = start; at < end; at += partSamples) {
    await convertRange(layout, { ...options, start: at, end: Math.min(end, at + partSamples) })
  }
}

/** Whether the resampler has a filter for every position between two samples. Source: FFmpeg, libswresample. */
export function isPeriodic(rate: number): boolean {
  return SAMPLE_RATE / greatestDivisor(rate, SAMPLE_RATE) <= MAX_PHASES
}

const MAX_PHASES = 1024

async function convertRange(layout: SeekableLayout, options: StageOptions): Promise<void> {
  const { start, end, partSamples, signal } = options
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
  const parts = new PartWriter({ start, end, partSamples, write }, before * SAMPLE_RATE)
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

/** The input of ffmpeg, and the number of samples that come out behind the skipped ones. */
interface Input {
  readonly bytes: AsyncIterable<Uint8Array>
  readonly skip: number
  readonly samples: number
  /** The NaN and infinite numbers in the input so far. */
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
      // ffmpeg would skip what looks like an ID3 tag, even before bare samples.
      if (isTagLike) yield Buffer.alloc(frameBytes(layout))
      for (let next = first; !next.done; next = await pieces.next()) yield next.value
    } finally {
      await pieces.return?.(undefined)
    }
  }
  return { bytes: bytes(), skip: isTagLike ? 1 : 0, ...rest }
}

/**
 * The input of ffmpeg for a FLAC: whole frames, so that a frame that cannot be decoded shows in the number of
 * samples.
 */
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
    // Pictures, tags and cue sheets are left out: the frames need only STREAMINFO.
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

/** ffmpeg's name for the format of bare samples. */
function rawFormat({ encoding, bits, unsigned, bigEndian }: PcmLayout): string {
  if (encoding === 'alaw' || encoding === 'mulaw') return encoding
  if (encoding === 'float') return `f${bits}le`
  const order = bits === 8 ? '' : bigEndian ? 'be' : 'le'
  return `${unsigned ? 'u' : 's'}${bits}${order}`
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b)
}
