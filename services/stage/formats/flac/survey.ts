import { flacHead, STREAMINFO } from '#shared/audio/flac-blocks.ts'
import { cutShort, mergedWarnings, type Warning, warning } from '#shared/contracts/warnings.ts'
import { whatFollows } from '../behind.ts'
import { ByteWindow, type MasterBytes, unreadable } from '../byte-window.ts'
import { firstFrame } from '../first-frame.ts'
import { checkRateAndChannels } from '../iff/chunks.ts'
import type { ByteRange, CodedLayout, FlacLayout } from '../layout.ts'
import { allFlacFrames, lastFlacFrame, nextFlacFrame } from './frames.ts'
import type { FrameFormat, SoundFrame } from './sound.ts'

/** A stream up to this size is scanned completely at once, bytes. */
const SHORT_BYTES = 4 << 20
/** A larger stream is never scanned completely, bytes. */
const MAX_SCAN_BYTES = 256 << 20
/**
 * Places at which the frame numbers of a larger stream are checked, as shares of it. They are not evenly
 * spaced, because the parts of joined files of equal size would be.
 */
const PROBES = [0.07, 0.19, 0.31, 0.46, 0.58, 0.71, 0.83, 0.94]
/** ffmpeg decodes deeper samples only since 6.1. */
const COMMON_BITS = 24

/**
 * Determines the layout of a FLAC stream from its frames. If they agree with the header, it is the header's. If
 * the header promises another length, the length of the frames counts, and a warning is added. If the frame
 * numbers restart (joined files, a stream recorded from its middle on), the stream can only be decoded from its
 * beginning.
 * @throws PermanentError MASTER_UNREADABLE
 */
export async function flacSurvey(
  file: MasterBytes,
  header: FlacLayout,
  signal: AbortSignal,
): Promise<FlacLayout | CodedLayout> {
  const { mended, warnings } = await asFramed(file, header, signal)
  const { layout: found, end } = await looked(file, mended, signal)
  const layout =
    warnings.length === 0
      ? found
      : { ...found, warnings: mergedWarnings(found.warnings, warnings) }
  const behind = await whatFollows('the FLAC', new ByteWindow(file, signal), end)
  if (behind.length === 0) return layout
  return { ...layout, warnings: mergedWarnings(layout.warnings, behind) }
}

/** A header that agrees with the first frame, and a warning if the original header did not. */
async function asFramed(
  file: MasterBytes,
  header: FlacLayout,
  signal: AbortSignal,
): Promise<{ readonly mended: FlacLayout; readonly warnings: readonly Warning[] }> {
  const found = await nextFlacFrame(file, header, header.offset, signal)
  // `checkDepth` examines deeper samples.
  const isLeft = found?.byte !== header.offset || header.bits > COMMON_BITS
  if (isLeft) return { mended: header, warnings: [] }
  const info = Buffer.from(header.streamInfo)
  const block = info.readUInt16BE(2)
  const [, strategy = 0] = await file.read(header.offset, header.offset + 2, signal)
  const isFixed = (strategy & 1) === 0
  // A stream may be shorter than a block.
  const isOfBlocks = !isFixed || found.length === block || found.end >= header.end
  const { rate, channels, bits } = header
  const own = { rate, channels, bits, block }
  const its = {
    rate: found.format.rate || rate,
    channels: found.format.channels || channels,
    bits: found.format.bits || bits,
    block: isOfBlocks ? block : found.length,
  }
  const names = ['rate', 'channels', 'bits', 'block'] as const
  if (names.every((name) => own[name] === its[name])) return { mended: header, warnings: [] }
  checkRateAndChannels(header.offset, its.rate, its.channels)
  if (!isOfBlocks) {
    info.writeUInt16BE(its.block, 0)
    info.writeUInt16BE(its.block, 2)
  }
  const packed =
    (BigInt(its.rate) << 44n) |
    (BigInt(its.channels - 1) << 41n) |
    (BigInt(its.bits - 1) << 36n) |
    BigInt(header.samples)
  info.writeBigUInt64BE(packed, 10)
  // The sizes of frames and the MD5 belong to some other content.
  info.fill(0, 4, 10).fill(0, 18)
  const formatText = ({ rate, channels, bits, block }: typeof own) =>
    `${rate} Hz, ${channels} ${channels === 1 ? 'channel' : 'channels'}, ${bits} bits in blocks of ${block}`
  const sentence = `the header of the FLAC says ${formatText(own)}, and its frames ${formatText(its)}; it was read as these`
  const mended = {
    ...header,
    rate: its.rate,
    channels: its.channels,
    bits: its.bits,
    streamInfo: Uint8Array.from(info),
  }
  return { mended, warnings: [warning('HEADER_CONTRADICTS', sentence)] }
}

/** The layout of a stream whose header agrees with the first frame, and the position where its last frame ends. */
async function looked(
  file: MasterBytes,
  header: FlacLayout,
  signal: AbortSignal,
): Promise<{ readonly layout: FlacLayout | CodedLayout; readonly end: number }> {
  const bytes = header.end - header.offset
  if (header.bits > COMMON_BITS) await checkDepth(file, header, signal)
  if (bytes > SHORT_BYTES) {
    const end = await endInOrder(file, header, signal)
    if (end !== undefined) return { layout: header, end }
  }
  if (bytes > MAX_SCAN_BYTES) {
    const last = await lastFlacFrame(file, header, signal)
    const samples = last === undefined ? 0 : last.sample + last.length
    const end = last?.end ?? header.end
    return { layout: ofLength({ ...header, end }, samples), end }
  }
  const scan = await scanned(file, header, signal)
  const end = scan.ranges.at(-1)?.end ?? header.end
  if (scan.isInOrder) return { layout: ofLength({ ...header, end }, scan.samples), end }
  // A gap: the loss is noticed and reported when the stream is decoded.
  if (!scan.beginsAnew) {
    return { layout: { ...header, samples: header.samples || scan.end }, end }
  }
  return { layout: joined(header, scan), end }
}

function ofLength(header: FlacLayout, samples: number): FlacLayout {
  const { rate, samples: promised } = header
  if (samples === 0) {
    throw unreadable(header.offset, 'a FLAC stream without a sound frame', 'one or more')
  }
  if (promised === samples) return header
  if (promised === 0) return { ...header, samples }
  const warnings = [
    promised > samples
      ? cutShort('the FLAC', promised / rate, samples / rate)
      : longer(promised / rate, samples / rate),
  ]
  return { ...header, samples, streamInfo: without(header.streamInfo), warnings }
}

function longer(promised: number, present: number): Warning {
  const [less, more] = [promised.toFixed(3), present.toFixed(3)]
  const sentence = `the header of the FLAC promises ${less} s, and ${more} s are there, all of which were taken`
  return warning('HEADER_CONTRADICTS', sentence)
}

/** STREAMINFO without the length and the MD5, which belong to some other content. */
function without(streamInfo: Uint8Array): Uint8Array {
  const info = Buffer.from(streamInfo)
  info[13] = (info[13] ?? 0) & 0xf0
  return Uint8Array.from(info.fill(0, 14))
}

/** The end of the last frame, if that is the one the header promises and the frame numbers rise up to it. */
async function endInOrder(
  file: MasterBytes,
  header: FlacLayout,
  signal: AbortSignal,
): Promise<number | undefined> {
  const places = PROBES.map((share) =>
    Math.floor(header.offset + share * (header.end - header.offset)),
  )
  const frames = await Promise.all([
    ...places.map((place) => nextFlacFrame(file, header, place, signal)),
    lastFlacFrame(file, header, signal),
  ])
  const last = frames.at(-1)
  if (last === undefined || last.sample + last.length !== header.samples) return undefined
  const isInOrder = frames.every((frame, i) => {
    const before = frames[i - 1]
    return frame !== undefined && (before === undefined || before.sample < frame.sample)
  })
  return isInOrder ? last.end : undefined
}

interface Scan {
  readonly samples: number
  /** The number of the last sample, plus one. */
  readonly end: number
  readonly isInOrder: boolean
  /** Whether the numbers restart, or do not begin at 0. */
  readonly beginsAnew: boolean
  /**
   * The number of the first sample; how often the numbers restart at 0; and how often they go back to another
   * number.
   */
  readonly first: number
  readonly starts: number
  readonly steps: number
  /** The ranges that consist of frames only. */
  readonly ranges: readonly ByteRange[]
}

async function scanned(
  file: MasterBytes,
  header: FlacLayout,
  signal: AbortSignal,
): Promise<Scan> {
  const ranges: { start: number; end: number }[] = []
  let samples = 0
  let end = 0
  let first: SoundFrame | undefined
  let isInOrder = true
  let beginsAnew = false
  let [starts, steps] = [0, 0]
  for await (const frames of allFlacFrames(file, header, signal)) {
    for (const frame of frames) {
      checkFormat(header, frame)
      if (frame.sample !== end) isInOrder = false
      if (frame.sample < end) frame.sample === 0 ? starts++ : steps++
      if (frame.sample < end || (first === undefined && frame.sample > 0)) beginsAnew = true
      first ??= frame
      samples += frame.length
      end = frame.sample + frame.length
      const range = ranges.at(-1)
      if (range?.end === frame.byte) range.end = frame.end
      else ranges.push({ start: frame.byte, end: frame.end })
    }
  }
  return {
    samples,
    end,
    isInOrder,
    beginsAnew,
    first: first?.sample ?? 0,
    starts,
    steps,
    ranges,
  }
}

/** Checks that a frame has the format of the header. @throws PermanentError MASTER_UNREADABLE */
function checkFormat(header: FlacLayout, { byte, format }: SoundFrame): void {
  const names: readonly (keyof FrameFormat)[] = ['rate', 'channels', 'bits']
  if (names.every((name) => format[name] === 0 || format[name] === header[name])) return
  const formatText = ({ rate, channels, bits }: FrameFormat) =>
    `${rate || header.rate} Hz, ${channels} channels, ${bits || header.bits} bits`
  throw unreadable(
    byte,
    `the FLAC stream changes from ${formatText(header)} to ${formatText(format)}`,
    'one format throughout',
  )
}

/** The warnings about frames whose numbers do not begin at 0 or restart. */
function disorder(
  { rate, samples: promised }: FlacLayout,
  { samples, end, first, starts, steps }: Scan,
): readonly Warning[] {
  // This may also be a joined file: those need not begin with number 0.
  if (starts === 0 && steps > 0) {
    const where = steps === 1 ? '' : ` in ${steps} places`
    const sentence = `the FLAC is damaged: frames come twice or out of turn${where}, and were taken as they come`
    return [warning('DAMAGED', sentence)]
  }
  if (promised === 0 || promised === samples) return []
  if (promised < samples) return [longer(promised / rate, samples / rate)]
  const short = cutShort('the FLAC', promised / rate, samples / rate)
  if (starts > 0 || end !== promised) return [short]
  const { promised_seconds } = short
  const sentence = `the FLAC is cut short: its header promises ${promised_seconds} s, and the first ${(first / rate).toFixed(3)} s of them are missing`
  return [{ ...short, sentence }]
}

function joined(header: FlacLayout, scan: Scan): CodedLayout {
  const { rate, channels, mask } = header
  const { samples, ranges } = scan
  const seconds = samples / rate
  const head = flacHead([{ type: STREAMINFO, body: without(header.streamInfo) }])
  const warnings = disorder(header, scan)
  return {
    kind: 'coded',
    container: 'FLAC',
    codec: 'FLAC',
    demuxer: 'flac',
    decoder: 'flac',
    rate,
    channels,
    mask,
    seconds,
    feed: [head, ...ranges],
    warnings,
  }
}

/** Checks whether the installed ffmpeg decodes such samples. @throws PermanentError MASTER_UNREADABLE */
async function checkDepth(
  file: MasterBytes,
  { bits, streamInfo, offset, end }: FlacLayout,
  signal: AbortSignal,
): Promise<void> {
  const coded = { kind: 'coded', container: 'FLAC', codec: 'FLAC', feed: [] } as const
  async function* bytes() {
    yield flacHead([{ type: STREAMINFO, body: streamInfo }])
    yield* file.stream(offset, Math.min(end, offset + (4 << 20)), signal)
  }
  try {
    await firstFrame({ ...coded, demuxer: 'flac', decoder: 'flac' }, bytes(), signal)
  } catch (error) {
    if ((error as { code?: string }).code !== 'MASTER_UNREADABLE') throw error
    throw unreadable(
      18,
      `FLAC of ${bits}-bit samples, which need not be damaged, but which the ffmpeg here does not decode`,
      `${COMMON_BITS} bits at most, or WAV`,
    )
  }
}
