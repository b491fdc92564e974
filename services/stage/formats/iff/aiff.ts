import { mergedWarnings } from '#shared/contracts/warnings.ts'
import { behindSound } from '../behind.ts'
import { type ByteWindow, fourCc, unreadable } from '../byte-window.ts'
import type { Coded, PcmLayout } from '../layout.ts'
import { asSampled, type Sampled, sampledPcm } from './as-sampled.ts'
import {
  checkRateAndChannels,
  chunks,
  type Format,
  soundWarnings,
  withWarnings,
} from './chunks.ts'
import { otherKind } from './sample-kind.ts'
import { sampleWidth } from './sample-width.ts'
import type { SoundSize } from './sound.ts'
import { isUnknown, type SizeClaims, soundSize } from './sound-size.ts'

const UNKNOWN_32 = 0xffffffff

/** The formats of uncompressed samples, by the compression type of AIFF-C. */
const COMPRESSIONS: Record<string, Partial<Format>> = {
  NONE: {},
  twos: {},
  sowt: { bigEndian: false },
  'raw ': { bits: 8, unsigned: true },
  in24: { bits: 24 },
  in32: { bits: 32 },
  // The same format, little-endian, as QuickTime writes it.
  '42ni': { bits: 24, bigEndian: false },
  '23ni': { bits: 32, bigEndian: false },
  fl32: { encoding: 'float', bits: 32 },
  FL32: { encoding: 'float', bits: 32 },
  fl64: { encoding: 'float', bits: 64 },
  FL64: { encoding: 'float', bits: 64 },
  alaw: { encoding: 'alaw', bits: 8 },
  ALAW: { encoding: 'alaw', bits: 8 },
  ulaw: { encoding: 'mulaw', bits: 8 },
  ULAW: { encoding: 'mulaw', bits: 8 },
}
/** IMA ADPCM: packets of 34 bytes per channel, each with 64 samples. */
const IMA4 = 'ima4'
const PACKET_BYTES = 34
const PACKET_SAMPLES = 64

/**
 * The layout of an AIFF or AIFF-C file, or what has to be decoded in it. Sources: Apple, Audio Interchange File
 * Format 1.3 (1989); AIFF-C draft of 1991.
 */
export async function aiffLayout(
  window: ByteWindow,
  form: 'AIFF' | 'AIFC',
): Promise<PcmLayout | Coded> {
  const formSize = (await window.view(4, 4, 'the FORM size')).getUint32(0, false)
  const outerEnd = formSize === 0 || formSize === UNKNOWN_32 ? undefined : formSize + 8
  let common: (Format & { samples: number; ima4?: Uint8Array }) | undefined
  let sound: { offset: number; said: number } | undefined

  for await (const chunk of chunks(window, false)) {
    if (chunk.id === 'COMM') {
      if (common) throw unreadable(chunk.offset - 8, 'a second "COMM" chunk', 'one')
      common = await commonOf(window, chunk.offset, chunk.size, form)
    } else if (chunk.id === 'SSND') {
      const skip = (await window.view(chunk.offset, 8, 'the "SSND" chunk')).getUint32(0, false)
      sound = {
        offset: chunk.offset + 8 + skip,
        said: chunk.size === UNKNOWN_32 ? UNKNOWN_32 : Math.max(0, chunk.size - 8 - skip),
      }
      if (!common && sound.offset + sound.said >= window.bytes) break
    }
    if (common && sound) break
  }
  if (!common)
    throw unreadable(12, 'there is no "COMM" chunk', 'one that describes the samples')
  if (!sound) throw unreadable(12, 'there is no "SSND" chunk', 'one that holds the samples')
  const container = form === 'AIFF' ? 'AIFF' : 'AIFF-C'
  const { samples: frames, ima4, ...format } = common
  const claims = { container, littleEndian: false, outerEnd, ...sound }
  // The chunk may end in padding, which is not samples.
  const behindOf = (size: SoundSize) => {
    const { offset } = claims
    const bytes = Math.max(size.bytes, filled(claims, size.bytes))
    return behindSound(container, window, { ...size, offset, bytes }, false)
  }
  if (ima4 !== undefined) {
    const packet = Math.max(1, PACKET_BYTES * format.channels)
    const size = await sizeOf(window, claims, frames, packet)
    const coded = ima4Coded(ima4, sound.offset, size.bytes)
    const second = { block: packet, rate: format.rate / PACKET_SAMPLES }
    const warnings = soundWarnings(container, size, second, [size.contradicts])
    return withWarnings(coded, mergedWarnings(warnings, await behindOf(size)))
  }
  checkRateAndChannels(format.at, format.rate, format.channels)
  const read = await readAs(window, format, claims, frames)
  const block = (read.format.bits / 8) * format.channels
  const size = await sizeOf(window, claims, frames, block)
  const contradictions = [size.contradicts, read.contradicts]
  const layout = sampledPcm(container, read, sound.offset, size, contradictions)
  return withWarnings(layout, mergedWarnings(layout.warnings, await behindOf(size)))
}

/** The size of the samples including the padding of their chunk, bytes. */
function filled({ said }: SizeClaims, bytes: number): number {
  return said - bytes < FILL_BYTES ? said : bytes
}

/** Maximum size of the padding at the end of a sound chunk, bytes. */
const FILL_BYTES = 512

/** The size of the samples, from `frames` blocks in the description and from the size of the chunk. */
async function sizeOf(
  window: ByteWindow,
  claims: SizeClaims,
  frames: number,
  block: number,
): Promise<SoundSize> {
  const long = frames === UNKNOWN_32 || isUnknown(frames * block) ? 0 : frames * block
  const fill = claims.said - long
  if (long === 0 || fill < 0 || fill >= FILL_BYTES)
    return soundSize(window, { ...claims, long })
  const { bytes, promised, ...size } = await soundSize(window, claims)
  const short = promised !== undefined && bytes < long ? { promised: long } : {}
  return { ...size, ...short, bytes: Math.min(bytes, long) }
}

/** How the samples are read: as described, unless the samples show that the description is wrong. */
async function readAs(
  window: ByteWindow,
  format: Format,
  claims: SizeClaims,
  frames: number,
): Promise<Sampled<Format>> {
  const { container, offset, said } = claims
  const width = said / (frames * format.channels)
  const bits = width === 3 || width === 4 ? width * 8 : format.bits
  const bytes = Math.max(0, Math.min(said, window.bytes - offset))
  const looked = { ...format, offset, bytes, bits, usedBits: format.bits }
  const other = await otherKind(window, looked)
  if (other !== undefined) {
    return { format: { ...format, ...other.as, bits }, contradicts: other.contradicts }
  }
  const found = await bitsOf(window, format, claims, frames)
  if (found.contradicts !== undefined || found.bits !== format.bits) {
    const { bits, ...said } = found
    return { format: { ...format, bits }, ...said }
  }
  const { rate } = format
  const place = { container, rate, offset, bytes, isWidthKnown: true }
  return asSampled(window, format, place)
}

/**
 * The width of the numbers, bits: as described, unless the size of the chunk gives another one and the samples
 * are noise as described.
 */
async function bitsOf(
  window: ByteWindow,
  { at, bits, encoding, bigEndian, unsigned, channels }: Format,
  { container, offset, said }: SizeClaims,
  frames: number,
): Promise<{ readonly bits: number; readonly contradicts?: string }> {
  const width = said / (frames * channels)
  const isOther = Number.isInteger(width) && width >= 1 && width <= 4 && width !== bits / 8
  if (encoding !== 'int' || !isOther || said > window.bytes - offset) return { bits }
  const widths = [bits / 8, width]
  const readings = { encoding, bigEndian, unsigned8: unsigned, channels, offset, widths }
  const isKnown = bits >= 8 && bits <= 32
  const seen = isKnown ? await sampleWidth(window, { ...readings, bytes: said }) : { width }
  const contradicts = `the ${container} has ${frames} samples of ${bits} bits in ${channels === 1 ? '1 channel' : `${channels} channels`}, and ${said} bytes of them`
  if (typeof seen === 'string') throw unreadable(at, contradicts, 'numbers that agree')
  if (seen.width !== width) return { bits }
  return { bits: width * 8, contradicts: `${contradicts}; they were read as ${width * 8} bits` }
}

async function commonOf(
  window: ByteWindow,
  offset: number,
  size: number,
  form: 'AIFF' | 'AIFC',
): Promise<Format & { samples: number; ima4?: Uint8Array }> {
  // Some writers of AIFF-C leave the compression type out when there is none.
  const least = form === 'AIFF' || size < 22 ? 18 : 22
  if (size < least) {
    throw unreadable(offset - 4, `the "COMM" chunk has ${size} bytes`, `${least} or more`)
  }
  const view = await window.view(offset, least, 'the "COMM" chunk')
  const compression = least === 18 ? 'NONE' : fourCc(view, 18)
  const kind = compression === IMA4 ? {} : COMPRESSIONS[compression]
  if (!kind) {
    throw unreadable(
      offset + 18,
      `samples compressed as "${compression}"`,
      [...Object.keys(COMPRESSIONS), IMA4].join(', '),
    )
  }
  const ima4 =
    compression === IMA4 ? Uint8Array.from(await window.glance(offset, least)) : undefined
  return {
    encoding: 'int',
    bits: Math.ceil(view.getInt16(6, false) / 8) * 8,
    unsigned: false,
    bigEndian: true,
    rate: extended(view, 8),
    channels: view.getUint16(0, false),
    mask: 0,
    at: offset,
    samples: view.getUint32(2, false),
    ...kind,
    ...(ima4 && { ima4 }),
  }
}

/**
 * Passes an AIFF-C file with only the samples to ffmpeg.
 * @param common the chunk's contents up to the name of the compression
 */
function ima4Coded(common: Uint8Array, start: number, bytes: number): Coded {
  if (bytes === 0) throw unreadable(start, 'the master holds no samples', 'one or more')
  const head = Buffer.alloc(12 + 8 + COMM_BYTES + 16)
  head.write('FORM', 0, 'latin1')
  head.writeUInt32BE(head.length - 8 + bytes, 4)
  head.write('AIFCCOMM', 8, 'latin1')
  head.writeUInt32BE(COMM_BYTES, 16)
  head.set(common, 20)
  const sound = 20 + COMM_BYTES
  head.write('SSND', sound, 'latin1')
  head.writeUInt32BE(8 + bytes, sound + 4)
  const feed = [head, { start, end: start + bytes }]
  const coded = { kind: 'coded', container: 'AIFF-C', codec: 'IMA ADPCM' } as const
  return { ...coded, demuxer: 'aiff', decoder: 'adpcm_ima_qt', feed }
}

/** Size of a COMM chunk whose compression has an empty name: a length of 0, and a padding byte. */
const COMM_BYTES = 24

/**
 * Reads an IEEE 754 80-bit extended number, as Apple's SANE wrote it, and rounds it, because rates are whole
 * numbers.
 */
function extended(view: DataView, at: number): number {
  const head = view.getUint16(at, false)
  const exponent = (head & 0x7fff) - 16_383
  const size = Math.round(Number(view.getBigUint64(at + 2, false)) * 2 ** (exponent - 63))
  return head >= 0x8000 ? -size : size
}
