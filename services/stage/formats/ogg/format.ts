import type { OggPage } from './pages.ts'
import { longModes } from './vorbis-blocks.ts'

/** What the first packet of an Ogg stream says of it. */
export interface OggFormat {
  /** For people. */
  readonly codec: 'Vorbis' | 'Opus' | 'FLAC'
  /** As ffmpeg calls it. */
  readonly decoder: string
  /** Hz, of the granule positions: of Opus always 48,000. */
  readonly rate: number
  readonly channels: number
  /** Of FLAC. */
  readonly bits?: number
  /** Samples at the beginning that are no music. */
  readonly skip: number
  /** The longest packet, samples. */
  readonly packetSamples: number
  /** Of Vorbis, whose packets are as long as half of two blocks: the lengths of the short and the long. */
  readonly blocks?: readonly [short: number, long: number]
}

/**
 * What an Ogg stream is by its first packet; a name where it is of a kind that is not taken; undefined where it is of
 * none that is known.
 * Sources: the Vorbis I specification, 4.2.2; RFC 7845, 5.1 (Opus); RFC 9639, 10.1 (FLAC).
 */
export function oggFormat(packet: Buffer): OggFormat | string | undefined {
  const text = packet.toString('latin1', 0, 16)
  if (text.startsWith('\x01vorbis') && packet.length >= 30) {
    const sizes = packet.readUInt8(28)
    const blocks = [2 ** (sizes & 15), 2 ** (sizes >> 4)] as const
    const [channels, rate] = [packet.readUInt8(11), packet.readUInt32LE(12)]
    const common = { rate, channels, skip: 0, packetSamples: Math.max(...blocks) / 2 }
    return { codec: 'Vorbis', decoder: 'vorbis', ...common, blocks }
  }
  if (text.startsWith('OpusHead') && packet.length >= 19) {
    const [channels, skip] = [packet.readUInt8(9), packet.readUInt16LE(10)]
    const packetSamples = MAX_OPUS_SAMPLES
    return { codec: 'Opus', decoder: 'opus', rate: OPUS_RATE, channels, skip, packetSamples }
  }
  if (text.startsWith('\x7fFLAC') && packet.length >= 51) {
    const packed = packet.readUInt32BE(27)
    const [rate, channels] = [packed >>> 12, ((packed >>> 9) & 7) + 1]
    const bits = ((packed >>> 4) & 31) + 1
    const packetSamples = packet.readUInt16BE(19) || MAX_FLAC_SAMPLES
    return { codec: 'FLAC', decoder: 'flac', rate, channels, bits, skip: 0, packetSamples }
  }
  return OTHERS.find(([magic]) => text.startsWith(magic))?.[1]
}

const OPUS_RATE = 48_000
/** 120 ms. */
const MAX_OPUS_SAMPLES = 5760
const MAX_FLAC_SAMPLES = 65_535

/** What else is found in Ogg. Source: the codecs that Xiph lists for it. */
const OTHERS = [
  ['Speex', 'Speex'],
  ['\x80theora', 'Theora, which is video'],
  ['fishead\0', 'Skeleton, which describes others'],
  ['\x80kate', 'Kate, which is text'],
  ['BBCD\0', 'Dirac, which is video'],
  ['\x01video', 'video'],
  ['OVP80', 'VP8, which is video'],
  ['CELT', 'CELT'],
  ['PCM ', 'PCM'],
] as const

/**
 * How many samples the packets that end on the pages of a stream hold, page by page; rather more where a packet has
 * lost its beginning, or nothing tells.
 * @param headers the end of what is before the first packet of music
 */
export function packetLengths(
  format: OggFormat,
  headers: Uint8Array,
): (page: OggPage) => number {
  const { packetSamples } = format
  const lengthAt = lengthsOf(format, headers)
  let length = packetSamples
  return ({ continues, lacing, body }) => {
    let isInside = continues
    let samples = 0
    let at = 0
    for (const bytes of lacing) {
      if (!isInside) length = lengthAt(body.subarray(at, at + 2))
      isInside = bytes === 255
      at += bytes
      if (isInside) continue
      samples += length
      length = packetSamples
    }
    return samples
  }
}

/**
 * How many packets end on a page, and how many samples they hold at least, whatever its granule position says: of Opus
 * as many as their first bytes say, of Vorbis as many as short ones, of FLAC nobody knows.
 */
export function leastOf(
  { codec, blocks }: OggFormat,
  { continues, lacing, body }: OggPage,
): { readonly packets: number; readonly samples: number } {
  let isInside = continues
  let packets = 0
  let samples = 0
  let at = 0
  for (const bytes of lacing) {
    if (!isInside && codec === 'Opus' && bytes > 0)
      samples += opusSamples(body.subarray(at, at + 2))
    isInside = bytes === 255
    at += bytes
    if (!isInside) packets++
  }
  if (blocks !== undefined) samples = (packets * Math.min(...blocks)) / 2
  return { packets, samples }
}

/** The length of packets one after the other, by their first two bytes. */
function lengthsOf(
  { codec, packetSamples, blocks }: OggFormat,
  headers: Uint8Array,
): (start: Uint8Array) => number {
  if (codec === 'Opus') return opusSamples
  const modes = longModes(headers)
  if (blocks === undefined || modes === undefined) return () => packetSamples
  const bits = 32 - Math.clz32(modes.length - 1)
  let before = Math.max(...blocks)
  return ([first = 0]) => {
    const block = blocks[modes[(first >> 1) & (2 ** bits - 1)] ? 1 : 0]
    const samples = (before + block) / 4
    before = block
    return samples
  }
}

/** How long an Opus packet is, at 48 kHz. Source: RFC 6716, 3.1 and 3.2. */
function opusSamples([toc = 0, count = 0]: Uint8Array): number {
  const kind = toc >> 3
  const ms = kind < 12 ? SILK_MS[kind & 3] : kind < 16 ? HYBRID_MS[kind & 1] : CELT_MS[kind & 3]
  const code = toc & 3
  const frames = code === 0 ? 1 : code === 3 ? count & 63 : 2
  return Math.min(MAX_OPUS_SAMPLES, (ms ?? 0) * frames * (OPUS_RATE / 1000))
}

const SILK_MS = [10, 20, 40, 60]
const HYBRID_MS = [10, 20]
const CELT_MS = [2.5, 5, 10, 20]
