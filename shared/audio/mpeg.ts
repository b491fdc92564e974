import { type ByteWindow, unreadable } from './byte-window.ts'
import type { ByteRange, Coded } from './layout.ts'

/**
 * An MP3 or an ADTS (AAC) stream at `start`, told by two frames that follow each other; undefined when it is none.
 * Sources: ISO/IEC 11172-3 section 2.4.1.3, 13818-3; ISO/IEC 13818-7 section 6.2 (ADTS).
 * @throws PermanentError MASTER_UNREADABLE for MPEG layers I and II.
 */
export async function mpegStream(
  window: ByteWindow,
  { start, end }: ByteRange,
): Promise<Coded | undefined> {
  const first = await frameAt(window, start)
  if (first === undefined) return undefined
  const next = start + first.bytes
  if (next < end && (await frameAt(window, next))?.kind !== first.kind) return undefined
  if (first.kind === 'layer') {
    throw unreadable(start, 'MPEG audio of layer I or II', 'layer III (MP3)')
  }
  const range = { start, end: await beforeId3v1(window, end) }
  const made = { kind: 'coded', feed: [range] } as const
  if (first.kind === 'adts') {
    return { ...made, container: 'AAC', codec: 'AAC', demuxer: 'aac', decoder: 'aac' }
  }
  const samples = await samplesByTag(window, range)
  return {
    ...{ ...made, container: 'MP3', codec: 'MP3', demuxer: 'mp3', decoder: 'mp3' },
    ...(samples === undefined ? {} : { samples }),
  }
}

/**
 * How many samples the encoder was given, by the tag that LAME writes into the first frame: ffmpeg takes its delay
 * into account, but on a pipe not the padding at the end.
 * Source: Gabriel Bouvier, Mp3 Info Tag rev 1 (gabriel.mp3-tech.org/mp3infotag.html).
 */
async function samplesByTag(
  window: ByteWindow,
  { start, end }: ByteRange,
): Promise<number | undefined> {
  const frame = Buffer.from(await window.glance(start, Math.min(MOST_TAG_BYTES, end - start)))
  const isMpeg1 = ((frame[1] ?? 0) & 8) !== 0
  const isMono = (frame[3] ?? 0) >> 6 === 3
  const at = 4 + (isMpeg1 ? (isMono ? 17 : 32) : isMono ? 9 : 17)
  if (frame.length < at + 8 || !['Xing', 'Info'].includes(frame.toString('latin1', at, at + 4)))
    return
  const flags = frame.readUInt32BE(at + 4)
  const encoder =
    at +
    8 +
    (flags & 1 ? 4 : 0) +
    (flags & 2 ? 4 : 0) +
    (flags & 4 ? 100 : 0) +
    (flags & 8 ? 4 : 0)
  const isWhole = frame.length >= encoder + 24
  if (
    (flags & 1) === 0 ||
    !isWhole ||
    !/^(LAME|Lavf|Lavc)/.test(frame.toString('latin1', encoder, encoder + 4))
  )
    return
  const frames = frame.readUInt32BE(at + 8)
  // A tag of another file, or one that lies, would cut the music short or make it endless.
  if (end - start > frames * MOST_FRAME_BYTES || end - start < frames * LEAST_FRAME_BYTES)
    return
  const delayAndPadding = frame.readUIntBE(encoder + 21, 3)
  const samples =
    frames * (isMpeg1 ? 1152 : 576) - (delayAndPadding >> 12) - (delayAndPadding & 0xfff)
  return samples > 0 ? samples : undefined
}

const MOST_TAG_BYTES = 256
/** Of layer III: 320 kbit/s at 32 kHz; 8 kbit/s at 24 kHz. What follows the music is left some room. */
const MOST_FRAME_BYTES = 2 * 1441
const LEAST_FRAME_BYTES = 24

interface Frame {
  readonly kind: 'mp3' | 'adts' | 'layer'
  readonly bytes: number
}

async function frameAt(window: ByteWindow, at: number): Promise<Frame | undefined> {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = await window.glance(at, 6)
  if (a !== 0xff || (b & 0xe0) !== 0xe0) return undefined
  if ((b & 0xf6) === 0xf0) {
    const bytes = ((d & 3) << 11) | (e << 3) | (f >> 5)
    const isRate = ((c >> 2) & 15) < RATES_OF_ADTS
    return isRate && bytes > 7 ? { kind: 'adts', bytes } : undefined
  }
  const version = (b >> 3) & 3
  const layer = (b >> 1) & 3
  const rate = RATES[(c >> 2) & 3]
  const index = c >> 4
  if (version === 1 || layer === 0 || rate === undefined || index === 15) return undefined
  if (layer !== 1) return { kind: 'layer', bytes: Number.POSITIVE_INFINITY }
  const isMpeg1 = version === 3
  const kbits = (isMpeg1 ? KBITS_1 : KBITS_2)[index - 1]
  // A free bit rate: how long a frame is shows only at the next.
  if (kbits === undefined) return undefined
  const hz = rate / (isMpeg1 ? 1 : version === 2 ? 2 : 4)
  const bytes = Math.floor(((isMpeg1 ? 144 : 72) * kbits * 1000) / hz) + ((c >> 1) & 1)
  return { kind: 'mp3', bytes }
}

const RATES = [44_100, 48_000, 32_000]
const RATES_OF_ADTS = 13
/** Of layer III, kbit/s, from index 1. */
const KBITS_1 = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const KBITS_2 = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]

const ID3V1_BYTES = 128

async function beforeId3v1(window: ByteWindow, end: number): Promise<number> {
  if (end <= ID3V1_BYTES) return end
  const tag = await window.glance(end - ID3V1_BYTES, 3)
  return Buffer.from(tag).toString('latin1') === 'TAG' ? end - ID3V1_BYTES : end
}
