import type { ByteWindow } from '../byte-window.ts'
import type { ByteRange, Coded } from '../layout.ts'
import { beforeTags } from '../tags.ts'
import { type MpegFrame, mpegFrame } from './frame.ts'
import { CHAIN_BYTES, findFrames, nameOf } from './frames.ts'
import { type LengthTag, lengthTag, TAG_BYTES } from './tag.ts'

/**
 * The stream of MPEG audio (MP3, layers I and II) or ADTS (AAC) that begins at `start`, recognized by
 * consecutive frames; undefined when there is none. Only the frames are decoded, and nothing between them
 * (frames.ts).
 */
export async function mpegStream(
  window: ByteWindow,
  range: ByteRange,
): Promise<Coded | undefined> {
  const { start, end } = range
  const head = Buffer.from(await window.glance(start, Math.min(CHAIN_BYTES, end - start)))
  const isEnd = start + head.length === end
  const alone = mpegFrame(head, 0)
  const isAlone = isEnd && alone?.bytes === head.length
  const frame = isAlone ? alone : findFrames(head, { from: 0, to: 1, isEnd })?.frame
  if (frame === undefined) return undefined
  const sifted = { kind: 'coded', feed: [range], sift: frame } as const
  if (frame.kind === 'adts') {
    return { ...sifted, container: 'AAC', codec: 'AAC', demuxer: 'aac', decoder: 'aac' }
  }
  const name = nameOf(frame)
  return {
    ...sifted,
    codec: name,
    demuxer: 'mp3',
    decoder: name.toLowerCase(),
    container: frame.kind === 3 ? 'MP3' : 'MPEG',
    ...(await fromTag(window, frame, range)),
  }
}

/**
 * What the tag in the first frame says. Its delay applies at the beginning. Its padding is removed at the end
 * only if the tag counts as many bytes as there are; a file that was joined to this one has its own padding.
 * The length in the tag is only a promise.
 */
async function fromTag(
  window: ByteWindow,
  frame: MpegFrame,
  range: ByteRange,
): Promise<Pick<Coded, 'skip' | 'padding' | 'promised' | 'slack' | 'tag'>> {
  const head = Buffer.from(await window.glance(range.start, TAG_BYTES))
  const tag = lengthTag(head, 0, frame)
  if (tag === undefined) return {}
  const { delay, padding = 0 } = tag
  const promised = secondsOf(tag, frame)
  const isWhole =
    tag.bytes !== undefined &&
    Math.abs(range.start + tag.bytes - (await beforeTags(window, range))) <= SLACK_BYTES
  return {
    ...(delay === undefined ? {} : { skip: delay + DECODER_DELAY }),
    ...(isWhole && padding > DECODER_DELAY ? { padding: padding - DECODER_DELAY } : {}),
    ...(promised === undefined ? {} : { promised, slack: slackOf(tag, frame), tag }),
  }
}

function secondsOf({ frames, bytes, delay = 0, padding = 0 }: LengthTag, frame: MpegFrame) {
  // A size that does not fit such frames is ignored.
  const each = (bytes ?? Number.NaN) / (frames ?? 0)
  if (frames === undefined || each < MIN_FRAME_BYTES || each > 2 * MAX_FRAME_BYTES) return
  return Math.max(0, frames * frame.samples - delay - padding) / frame.rate
}

/** Tolerance for missing music, seconds. Encoders that note no delay may count their tag among the frames. */
function slackOf({ delay }: LengthTag, { samples, rate }: MpegFrame): number {
  return ((delay === undefined ? 2.5 : 0.5) * samples) / rate
}

/** The delay of a decoder of layer III, samples. */
const DECODER_DELAY = 529
/**
 * Tolerance for the number of bytes. Some encoders count their tag, others do not, and a few bytes behind the
 * music may be something else.
 */
const SLACK_BYTES = 4096
/** Minimum and maximum size of a frame of layer III, bytes: 8 kbit/s at 24 kHz, 320 kbit/s at 32 kHz. */
const MIN_FRAME_BYTES = 24
const MAX_FRAME_BYTES = 1441
