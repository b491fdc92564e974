import { mergedWarnings } from '#shared/contracts/warnings.ts'
import { behindSound } from '../behind.ts'
import { type ByteWindow, unreadable } from '../byte-window.ts'
import type { Coded, PcmLayout } from '../layout.ts'
import { mpegStream } from '../mpeg/mpeg.ts'
import { sampledPcm } from './as-sampled.ts'
import { checkRateAndChannels, chunks, soundWarnings, withWarnings } from './chunks.ts'
import { refuseEncoded } from './encoded-samples.ts'
import type { SoundSize } from './sound.ts'
import { soundSize } from './sound-size.ts'
import { DECODABLE, readableAs, type WavFormat, wavFormat } from './wav-format.ts'

const UNKNOWN_32 = 0xffffffff

/**
 * The layout of a WAV, RIFX (big-endian WAV), RF64 or BW64 file, or what has to be decoded in it. Sources:
 * Multimedia Programming Interface and Data Specifications 1.0 (RIFF, WAVE), Microsoft "Multiple channel audio
 * data and WAVE files" (extensible), EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64).
 */
export async function wavLayout(
  window: ByteWindow,
  id: 'RIFF' | 'RIFX' | 'RF64' | 'BW64',
): Promise<PcmLayout | Coded> {
  const littleEndian = id !== 'RIFX'
  const container = id === 'RF64' || id === 'BW64' ? 'RF64' : 'WAV'
  const riffSize = (await window.view(4, 4, 'the RIFF size')).getUint32(0, littleEndian)
  let outerEnd = riffSize === 0 || riffSize === UNKNOWN_32 ? undefined : riffSize + 8
  let long: number | undefined
  let format: WavFormat | undefined
  let data: { offset: number; said: number } | undefined

  for await (const chunk of chunks(window, littleEndian)) {
    if (chunk.id === 'ds64') {
      if (chunk.size < 16) {
        throw unreadable(
          chunk.offset - 4,
          `a "ds64" chunk of ${chunk.size} bytes`,
          '28 or more',
        )
      }
      const view = await window.view(chunk.offset, 16, 'the ds64 chunk')
      const riffBytes = Number(view.getBigUint64(0, true))
      if (riffBytes > 0) outerEnd = riffBytes + 8
      long = Number(view.getBigUint64(8, true))
    } else if (chunk.id === 'fmt ') {
      const found = await wavFormat(window, chunk, littleEndian)
      // Some readers would use the first one, others the last one.
      if (format && !Buffer.from(format.contents).equals(found.contents))
        throw unreadable(chunk.offset - 8, 'a second "fmt " chunk, unlike the first', 'one')
      format ??= found
    } else if (chunk.id === 'data') {
      data ??= { offset: chunk.offset, said: chunk.size }
      if (!format && chunk.offset + chunk.size >= window.bytes) break
    }
    if (format && data) break
  }
  if (!format) throw unreadable(12, 'there is no "fmt " chunk', 'one before the samples')
  if (!data) throw unreadable(12, 'there is no "data" chunk', 'one that holds the samples')
  if (!(format.tag in DECODABLE)) {
    const there = Math.min(data.said, window.bytes - data.offset)
    await refuseEncoded(window, { offset: data.offset, bytes: there })
  }
  const size = await soundSize(window, {
    container,
    littleEndian,
    offset: data.offset,
    said: data.said,
    long,
    outerEnd,
  })
  const isUncounted = container === 'RF64' && long === undefined
  const uncounted = isUncounted
    ? 'the RF64 has no "ds64" chunk to count its samples'
    : undefined
  const contradictions = [size.contradicts, uncounted]
  const behind = await behindSound(
    container,
    window,
    { ...size, offset: data.offset },
    littleEndian,
  )
  if (format.tag in DECODABLE) {
    if (!littleEndian)
      throw unreadable(format.at, 'compressed samples in a big-endian RIFF', 'bare samples')
    const coded = await decodable(window, format, data.offset, size.bytes)
    const warnings = soundWarnings(container, size, blocksOf(format), contradictions)
    return withWarnings(coded, mergedWarnings(warnings, behind))
  }
  checkRateAndChannels(format.at, format.rate, format.channels)
  const sound = { container, offset: data.offset, bytes: size.bytes }
  const read = await readableAs(window, format, sound, littleEndian)
  const known = [...contradictions, read.contradicts]
  const layout = sampledPcm(container, read, data.offset, size, known)
  return withWarnings(layout, mergedWarnings(layout.warnings, behind))
}

/** Number of samples of four bits that one channel has in a block of ADPCM, behind its head. */
function samplesBehindHead({ tag, channels, blockBytes }: WavFormat): number {
  const { headBytes = 0 } = DECODABLE[tag] ?? {}
  return 2 * (blockBytes / Math.max(1, channels) - headBytes)
}

/**
 * The blocks of compressed samples. Those of ADPCM have two samples to a byte behind their head, and one (IMA) or two
 * (Microsoft) in it; the byte rate of such headers is often wrong, but of MPEG it is all that there is.
 */
function blocksOf(format: WavFormat) {
  const { tag, blockBytes, rate, byteRate } = format
  const { headBytes, headSamples = 0 } = DECODABLE[tag] ?? {}
  if (headBytes === undefined) return { block: 1, rate: Math.max(1, byteRate) }
  const samples = headSamples + samplesBehindHead(format)
  return { block: Math.max(1, blockBytes), rate: rate / samples }
}

/**
 * Minimum number of samples in a block. A block costs the decoder 10 core-microseconds, however short it is;
 * the blocks of games have 32 samples at least.
 */
const MIN_BLOCK_SAMPLES = 12

/**
 * MP3 frames are passed to ffmpeg as they are. ADPCM needs its format, so ffmpeg gets a WAV with only that and
 * the samples.
 */
async function decodable(
  window: ByteWindow,
  format: WavFormat,
  start: number,
  bytes: SoundSize['bytes'],
): Promise<Coded> {
  const { at, tag, blockBytes, contents } = format
  const { codec, decoder } = DECODABLE[tag] as (typeof DECODABLE)[number] & object
  const range = { start, end: start + bytes }
  if (bytes === 0) throw unreadable(start, 'the master holds no samples', 'one or more')
  if (decoder.startsWith('mp')) {
    const stream = await mpegStream(window, range)
    if (stream?.decoder.startsWith('mp')) return { ...stream, container: 'WAV' }
    throw unreadable(start, `no ${codec} where the header says so`, 'its first frame')
  }
  const samples = samplesBehindHead(format)
  if (samples < MIN_BLOCK_SAMPLES) {
    const wrong = `${codec} in blocks of ${blockBytes} bytes, ${Math.max(0, samples)} samples each`
    throw unreadable(at + 12, wrong, `blocks of ${MIN_BLOCK_SAMPLES} samples or more`)
  }
  const head = Buffer.alloc(12 + 8 + contents.length + (contents.length % 2) + 8)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(UNKNOWN_32, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(contents.length, 16)
  head.set(contents, 20)
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
