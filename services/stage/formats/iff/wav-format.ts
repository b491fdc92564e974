import { type ByteWindow, unreadable } from '../byte-window.ts'
import type { Coded, PcmLayout } from '../layout.ts'
import { asAligned, asSampled, type Sampled } from './as-sampled.ts'
import type { Format } from './chunks.ts'
import { type Middle, middleOf, misread, otherReading } from './other-reading.ts'
import { otherKind } from './sample-kind.ts'
import { sampleWidth } from './sample-width.ts'

/** The contents of the "fmt " chunk of a WAV file. */
export interface WavFormat {
  /** Position of the contents, bytes. */
  readonly at: number
  /** The format tag WAVE_FORMAT_…; for an extensible format, that of its subformat. */
  readonly tag: number
  readonly channels: number
  readonly rate: number
  /** Bytes per second. */
  readonly byteRate: number
  /** Bytes in a sample of all channels. */
  readonly blockBytes: number
  readonly bits: number
  /** The valid bits of an extensible format; 0 if there are none. */
  readonly validBits: number
  readonly mask: number
  /** The contents of the chunk, as much as any format that is decoded here needs. */
  readonly contents: Uint8Array
}

/** Maximum size of that, bytes. */
const MAX_FORMAT_BYTES = 1024

interface Decodable extends Pick<Coded, 'codec' | 'decoder'> {
  /** For ADPCM: number of bytes at the beginning of the block of one channel, before the samples of four bits. */
  readonly headBytes?: number
  /** Number of samples of one channel in that head. */
  readonly headSamples?: number
}

/** How encodings of compressed samples are decoded, by format tag. */
export const DECODABLE: Readonly<Record<number, Decodable>> = {
  2: { codec: 'MS ADPCM', decoder: 'adpcm_ms', headBytes: 7, headSamples: 2 },
  17: { codec: 'IMA ADPCM', decoder: 'adpcm_ima_wav', headBytes: 4, headSamples: 1 },
  80: { codec: 'MPEG', decoder: 'mp2' },
  85: { codec: 'MP3', decoder: 'mp3' },
}

/** The encodings of uncompressed samples, by format tag. */
export const ENCODINGS: Readonly<Record<number, PcmLayout['encoding']>> = {
  1: 'int',
  3: 'float',
  6: 'alaw',
  7: 'mulaw',
}

/** The names of formats that are refused. */
const TAGS: Readonly<Record<number, string>> = {
  16: 'OKI ADPCM',
  32: 'Yamaha ADPCM',
  49: 'GSM 6.10',
  69: 'G.726',
  100: 'G.726',
  146: 'S/PDIF',
  255: 'AAC',
  353: 'Windows Media Audio',
  8192: 'AC-3',
  8193: 'DTS',
  22092: 'Vorbis',
  41225: 'Speex',
  61868: 'FLAC',
  65535: 'experimental',
}

/** The last 14 bytes of subformats that stand for a plain format tag: RFC 2361 and mmreg.h. */
const SUBFORMAT_TAIL = '000000001000800000aa00389b71'
/** The last bytes of subformats for ambisonic B-format: Richard Dobson's WAVE-EX extension. */
const AMBISONIC_TAIL = '00002107d3118644c8c1ca000000'

/** Reads the "fmt " chunk. @throws PermanentError MASTER_UNREADABLE */
export async function wavFormat(
  window: ByteWindow,
  { offset, size }: { readonly offset: number; readonly size: number },
  littleEndian: boolean,
): Promise<WavFormat> {
  if (size < 14)
    throw unreadable(offset - 4, `the "fmt " chunk has ${size} bytes`, '16 or more')
  const length = Math.min(size, MAX_FORMAT_BYTES, window.bytes - offset)
  await window.view(offset, Math.min(size, 40), 'the "fmt " chunk')
  const contents = Uint8Array.from(await window.glance(offset, length))
  const view = new DataView(contents.buffer)
  const u16 = (at: number) => (at + 2 > size ? 0 : view.getUint16(at, littleEndian))
  const format = {
    at: offset,
    tag: u16(0),
    channels: u16(2),
    rate: view.getUint32(4, littleEndian),
    byteRate: view.getUint32(8, littleEndian),
    blockBytes: u16(12),
    bits: u16(14),
    validBits: 0,
    mask: 0,
    contents,
  }
  if (format.tag !== 0xfffe) return format
  if (size < 40) {
    throw unreadable(offset - 4, `an extensible "fmt " chunk of ${size} bytes`, '40 bytes')
  }
  const tail = Buffer.from(contents.subarray(26, 40)).toString('hex')
  if (tail === AMBISONIC_TAIL) {
    const wrong = 'ambisonic B-format, whose channels (W, X, Y, Z) are not loudspeakers'
    throw unreadable(offset + 24, wrong, 'a stereo mix of it')
  }
  if (tail !== SUBFORMAT_TAIL) {
    const guid = guidOf(contents.subarray(24, 40))
    throw unreadable(offset + 24, `the unknown subformat ${guid}`, 'PCM or IEEE float')
  }
  const mask = view.getUint32(20, littleEndian)
  return { ...format, tag: u16(24), validBits: u16(18), mask }
}

function guidOf(bytes: Uint8Array): string {
  const hex = (from: number, to: number) =>
    Buffer.from(bytes.subarray(from, to)).toString('hex')
  const swapped = (from: number, to: number) =>
    Buffer.from(bytes.slice(from, to).reverse()).toString('hex')
  return [swapped(0, 4), swapped(4, 6), swapped(6, 8), hex(8, 10), hex(10, 16)].join('-')
}

/** The place of the samples that decide between contradicting numbers, bytes. */
interface Sound {
  readonly container: string
  readonly offset: number
  readonly bytes: number
}

/**
 * How the uncompressed samples of a WAV have to be read. Block alignment, byte rate and bits each give the
 * width of a number. If they contradict each other, the samples decide, or two of the three.
 * @throws PermanentError MASTER_UNREADABLE when the samples are of another kind, or nothing shows their width
 */
export async function readableAs(
  window: ByteWindow,
  format: WavFormat,
  sound: Sound,
  littleEndian: boolean,
): Promise<Sampled<Format>> {
  const { at, tag, rate, channels, mask, bits, validBits, blockBytes, byteRate } = format
  const encoding = ENCODINGS[tag]
  if (encoding === undefined) {
    const name = TAGS[tag] ? ` (${TAGS[tag]})` : ''
    throw unreadable(
      at,
      `the samples are of format 0x${tag.toString(16).padStart(4, '0')}${name}`,
      'PCM (1), IEEE float (3), ADPCM (2, 17), A-law (6), µ-law (7), MPEG (80) or MP3 (85)',
    )
  }
  const bigEndian = !littleEndian
  const block = (blockBytes / channels) * 8
  const inBlocks: Format = {
    encoding,
    bits: block,
    unsigned: false,
    bigEndian,
    rate,
    channels,
    mask,
    at,
  }
  const isKnown = WIDTHS[encoding].includes(block / 8)
  let middle: Middle | undefined
  if (isKnown && encoding === 'float') {
    // Floating-point numbers that begin a byte later would look like integers.
    middle = await middleOf(window, { ...inBlocks, ...sound })
    const moved = await asAligned(window, inBlocks, { ...sound, rate }, middle)
    if (moved !== undefined) return moved
  }
  const other = isKnown ? await asOtherKind(window, inBlocks, sound, bits) : undefined
  if (other !== undefined) return other
  const { width, isSound } = await widthOf(window, { ...format, encoding }, sound, littleEndian)
  const read: Format = {
    ...inBlocks,
    bits: width * 8,
    unsigned: encoding === 'int' && width === 1,
    bigEndian: bigEndian && width > 1,
  }
  if (isSound && validBits <= bits) {
    const usedBits = validBits > 0 ? validBits : bits
    return asSampled(window, read, { ...sound, rate, usedBits }, middle)
  }
  if (!isSound && width * channels === blockBytes && Math.ceil(bits / 8) === width) {
    const hz = Math.round(byteRate / blockBytes)
    const contradicts = `the header says ${rate} Hz, and ${byteRate} bytes a second, which in blocks of ${blockBytes} bytes are ${hz} Hz; it was read at ${rate} Hz`
    return { format: read, contradicts }
  }
  const named = validBits > bits ? `${validBits} valid bits of ${bits}` : `${bits} bits`
  const contradicts = `the header has blocks of ${blockBytes} bytes, ${byteRate} bytes a second, and ${named} in ${channels === 1 ? '1 channel' : `${channels} channels`} at ${rate} Hz; they were read as ${width * 8} bits`
  return { format: read, contradicts }
}

/** The samples as another kind of numbers than the header says, if they are clearly that. */
async function asOtherKind(
  window: ByteWindow,
  said: Format,
  sound: Sound,
  usedBits: number,
): Promise<Sampled<Format> | undefined> {
  const other = await otherKind(window, { ...said, ...sound, usedBits })
  if (other === undefined) return undefined
  const { as, contradicts } = other
  const format: Format = { ...said, ...as }
  if (as.encoding !== 'int' || as.lowBits !== undefined) return { format, contradicts }
  const narrower = (await otherReading(window, { ...format, ...sound }))?.as
  if (narrower === undefined) return { format, contradicts }
  return { format: { ...format, ...narrower }, contradicts: misread(said, narrower) }
}

const WIDTHS = { int: [1, 2, 3, 4], float: [4, 8], alaw: [1], mulaw: [1] }

/** The width of a number, bytes, and whether the header gives it without a contradiction. */
async function widthOf(
  window: ByteWindow,
  format: WavFormat & Pick<PcmLayout, 'encoding'>,
  { offset, bytes }: Sound,
  littleEndian: boolean,
): Promise<{ readonly width: number; readonly isSound: boolean }> {
  const { at, encoding, rate, channels, bits, blockBytes, byteRate, contents } = format
  const known = (width: number) => (WIDTHS[encoding].includes(width) ? width : undefined)
  const byBits = known(Math.ceil(bits / 8))
  // Without channels or a rate, these are not known widths.
  const byBlock = known(blockBytes / channels)
  const byRate = known(byteRate / (rate * channels))
  const isRateSound = byteRate === blockBytes * rate
  if (byBits !== undefined && byBlock === byBits) return { width: byBits, isSound: isRateSound }
  const widths = [...new Set([byBits, byBlock, byRate])].filter((each) => each !== undefined)
  const [only] = widths
  if (
    only === undefined ||
    (widths.length === 1 && byBits === undefined && byBlock !== byRate)
  ) {
    throw unreadable(
      at,
      `${bits}-bit ${encoding} samples in blocks of ${blockBytes} bytes for ${channels} channels`,
      `${WIDTHS[encoding].map((width) => width * 8).join(', ')} bits`,
    )
  }
  // The oldest "fmt " chunks end before the bits.
  if (widths.length === 1) return { width: only, isSound: contents.length < 16 && isRateSound }
  const readings = { encoding, bigEndian: !littleEndian, unsigned8: true, channels }
  const seen = await sampleWidth(window, { ...readings, offset, bytes, widths })
  const isBlockAgreed = byBlock !== undefined && byBlock === byRate && isRateSound
  if (typeof seen === 'object') {
    // A number in a wider container whose lower bytes are zero is no contradiction.
    const isRoomy = seen.isPadded && isBlockAgreed && seen.width === byBlock
    return { width: seen.width, isSound: isRoomy }
  }
  if (byBits !== undefined && byBits === byRate) return { width: byBits, isSound: false }
  if (seen === 'silence' && isBlockAgreed)
    return { width: byBlock, isSound: byBlock > (byBits ?? 0) }
  throw unreadable(
    at + 12,
    `a block of ${blockBytes} bytes for ${channels} channels of ${bits} bits, and samples that do not show which is right`,
    'numbers that agree',
  )
}
