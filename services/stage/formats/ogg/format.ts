import type { OggPage } from './pages.ts'
import { longModes } from './vorbis-blocks.ts'

/** The format in the first packet of an Ogg stream. */
export interface OggFormat {
  /** The name in messages. */
  readonly codec: 'Vorbis' | 'Opus' | 'FLAC'
  /** The name of the decoder in ffmpeg. */
  readonly decoder: string
  /** The rate of the granule positions, Hz; for Opus always 48,000. */
  readonly rate: number
  readonly channels: number
  /** Bits per sample, for FLAC only. */
  readonly bits?: number
  /** Number of samples at the beginning that are not music. */
  readonly skip: number
  /** Maximum length of a packet, samples. */
  readonly packetSamples: number
  /** For Vorbis: the lengths of a short and a long block. A packet is as long as half of two blocks. */
  readonly blocks?: readonly [short: number, long: number]
}

/**
 * The format of an Ogg stream by its first packet. A name if its codec is not accepted; undefined if the codec
 * is unknown. Sources: the Vorbis I specification, 4.2.2; RFC 7845, 5.1 (Opus); RFC 9639, 10.1 (FLAC).
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
/** Maximum length of an Opus packet, samples: 120 ms at 48 kHz. */
const MAX_OPUS_SAMPLES = 5760
const MAX_FLAC_SAMPLES = 65_535

/** Other codecs in Ogg. Source: the codecs that Xiph lists for it. */
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
 * Returns a function that gives the number of samples in the packets that end on a page. Call it page by page.
 * The number is too large rather than too small if the beginning of a packet is lost or the length is not
 * known.
 * @param headers the end of what precedes the first packet of music
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
 * The number of packets that end on a page, and the minimum number of samples in them, whatever the granule
 * position says: for Opus by the first bytes of the packets, for Vorbis as if all blocks were short; for FLAC
 * 0.
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

/** Returns a function that gives the length of consecutive packets, samples, by their first two bytes. */
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

/** The length of an Opus packet, samples at 48 kHz. Source: RFC 6716, 3.1 and 3.2. */
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
