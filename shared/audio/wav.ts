import { type ByteWindow, fourCc, unreadable } from './byte-window.ts'
import { chunks, type Format, pcm, presentBytes } from './chunks.ts'
import type { Coded, PcmLayout } from './layout.ts'
import { mpegStream } from './mpeg.ts'

const UNKNOWN_32 = 0xffffffff

/**
 * The layout of a WAV, RF64 or BW64 file, or what there is to decode in it.
 * Sources: Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE), Microsoft
 * "Multiple channel audio data and WAVE files" (extensible), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64).
 */
export async function wavLayout(
  window: ByteWindow,
  id: 'RIFF' | 'RF64' | 'BW64',
): Promise<PcmLayout | Coded> {
  const riffSize = (await window.view(4, 4, 'the RIFF size')).getUint32(0, true)
  let outerEnd = riffSize === 0 || riffSize === UNKNOWN_32 ? undefined : riffSize + 8
  let longDataBytes: number | undefined
  let format: Format | Compressed | undefined
  let data: { offset: number; size: number } | undefined

  for await (const chunk of chunks(window, true)) {
    if (chunk.id === 'ds64' && id !== 'RIFF') {
      if (chunk.size < 16) {
        throw unreadable(
          chunk.offset - 4,
          `a "ds64" chunk of ${chunk.size} bytes`,
          '28 or more',
        )
      }
      const view = await window.view(chunk.offset, 16, 'the ds64 chunk')
      outerEnd = Number(view.getBigUint64(0, true)) + 8
      longDataBytes = Number(view.getBigUint64(8, true))
    } else if (chunk.id === 'fmt ') {
      // Some readers would take the first, some the last.
      if (format) throw unreadable(chunk.offset - 8, 'a second "fmt " chunk', 'one')
      format = await formatOf(window, chunk.offset, chunk.size)
    } else if (chunk.id === 'data') {
      data = {
        offset: chunk.offset,
        size: chunk.size === UNKNOWN_32 ? (longDataBytes ?? chunk.size) : chunk.size,
      }
      if (!format && data.offset + data.size >= window.bytes) break
    }
    if (format && data) break
  }
  if (!format) throw unreadable(12, 'there is no "fmt " chunk', 'one before the samples')
  if (!data) throw unreadable(12, 'there is no "data" chunk', 'one that holds the samples')
  const bytes = presentBytes(window, data.offset, data.size, outerEnd)
  if ('codec' in format) return decodable(window, format, data.offset, bytes)
  return pcm(id === 'RIFF' ? 'WAV' : 'RF64', format, data.offset, bytes)
}

/** Compressed samples: what ffmpeg needs to know of them. */
interface Compressed extends Pick<Coded, 'codec' | 'decoder'> {
  /** The contents of the "fmt " chunk. */
  readonly format: Uint8Array
}

const DECODABLE: Record<number, Pick<Coded, 'codec' | 'decoder'>> = {
  2: { codec: 'MS ADPCM', decoder: 'adpcm_ms' },
  17: { codec: 'IMA ADPCM', decoder: 'adpcm_ima_wav' },
  85: { codec: 'MP3', decoder: 'mp3' },
}

const ENCODINGS: Record<number, PcmLayout['encoding']> = {
  1: 'int',
  3: 'float',
  6: 'alaw',
  7: 'mulaw',
}

/** Names of formats that are refused. */
const TAGS: Record<number, string> = { 80: 'MPEG', 255: 'AAC', 8192: 'AC-3' }

/** The last 14 bytes of the subformats that stand for a plain format tag, RFC 2361 and mmreg.h. */
const SUBFORMAT_TAIL = '000000001000800000aa00389b71'

async function formatOf(
  window: ByteWindow,
  offset: number,
  size: number,
): Promise<Format | Compressed> {
  if (size < 16)
    throw unreadable(offset - 4, `the "fmt " chunk has ${size} bytes`, '16 or more')
  const view = await window.view(offset, Math.min(size, 40), 'the "fmt " chunk')
  let tag = view.getUint16(0, true)
  const channels = view.getUint16(2, true)
  const blockBytes = view.getUint16(12, true)
  let mask = 0
  if (tag === 0xfffe) {
    if (size < 40) {
      throw unreadable(offset - 4, `an extensible "fmt " chunk of ${size} bytes`, '40 bytes')
    }
    mask = view.getUint32(20, true)
    tag = view.getUint16(24, true)
    const tail = Buffer.from(view.buffer, view.byteOffset + 26, 14).toString('hex')
    if (tail !== SUBFORMAT_TAIL) {
      throw unreadable(
        offset + 24,
        `an unknown subformat (${fourCc(view, 24)}…)`,
        'PCM or IEEE float',
      )
    }
  }
  const decodable = DECODABLE[tag]
  if (decodable !== undefined) {
    const format = Uint8Array.from(
      await window.glance(offset, Math.min(size, MOST_FORMAT_BYTES)),
    )
    return { ...decodable, format }
  }
  const encoding = ENCODINGS[tag]
  if (encoding === undefined) {
    const name = TAGS[tag] ? ` (${TAGS[tag]})` : ''
    throw unreadable(
      offset,
      `the samples are of format 0x${tag.toString(16).padStart(4, '0')}${name}`,
      'PCM (1), IEEE float (3), ADPCM (2, 17), A-law (6), µ-law (7) or MP3 (85)',
    )
  }
  const bits = view.getUint16(14, true)
  const bytes = blockBytes / (channels || 1)
  if (!Number.isInteger(bytes) || bits === 0 || bytes < bits / 8) {
    throw unreadable(
      offset + 12,
      `a block of ${blockBytes} bytes for ${channels} channels of ${bits} bits`,
      'a block that holds one number per channel',
    )
  }
  return {
    encoding,
    bits: bytes * 8,
    unsigned: encoding === 'int' && bytes === 1,
    bigEndian: false,
    rate: view.getUint32(4, true),
    channels,
    mask,
    at: offset,
  }
}

/** More than any format that is decoded here has. */
const MOST_FORMAT_BYTES = 1024

/** MP3 stands for itself; ADPCM needs its format, so ffmpeg gets a WAV of nothing else. */
async function decodable(
  window: ByteWindow,
  { codec, decoder, format }: Compressed,
  start: number,
  bytes: number,
): Promise<Coded> {
  const range = { start, end: start + bytes }
  if (bytes === 0) throw unreadable(start, 'the master holds no samples', 'one or more')
  if (decoder === 'mp3') {
    const stream = await mpegStream(window, range)
    if (stream?.codec === 'MP3') return { ...stream, container: 'WAV' }
    throw unreadable(start, 'no MP3 where the header says so', 'its first frame')
  }
  const head = Buffer.alloc(12 + 8 + format.length + (format.length % 2) + 8)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(UNKNOWN_32, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(format.length, 16)
  head.set(format, 20)
  head.write('data', head.length - 8, 'latin1')
  head.writeUInt32LE(UNKNOWN_32, head.length - 4)
  return {
    kind: 'coded',
    container: 'WAV',
    codec,
    decoder,
    demuxer: 'wav',
    feed: [head, range],
  }
}
