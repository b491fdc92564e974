import { AAC_GRID, type Parts, type Range, type Streamed } from '#shared/assets/definition.ts'
import { encodeAac } from '#shared/audio/ffmpeg.ts'
import type { PcmSource } from '#shared/audio/pcm.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { BYTES_PER_SAMPLE } from '#shared/contracts/pcm-format.ts'
import {
  mayFollow,
  PACKET_SAMPLES,
  packets,
  type WindowSequence,
  windowSequence,
} from './adts.ts'
import { m4aHead } from './m4a.ts'

const CELL_PACKETS = AAC_GRID / PACKET_SAMPLES
/**
 * Number of packets that are encoded before a cell and dropped: rate control needs about this many to forget
 * where it began.
 */
const PRE_ROLL = 256
/**
 * Number of packets that are encoded after a cell and dropped: the encoder looks one packet ahead to choose its
 * windows.
 */
const POST_ROLL = 4

/**
 * The AAC-LC packets of a range, as ADTS: see `EncodeTools.aacPackets`.
 *
 * Each cell of the grid is encoded by itself, whatever the range, so that the bytes do not depend on how a plan
 * groups the cells.
 * @param bitrate bits per second
 * @param cellPackets number of packets in a cell. Another number gives other bytes, so no asset sets it; tests
 * use short cells to get many seams.
 * @throws RangeError when the range does not consist of whole cells; Error when the encoder returns another
 * number of packets than it must
 */
export async function aacPackets(
  pcm: PcmSource,
  range: Range,
  bitrate: number,
  signal: AbortSignal,
  cellPackets = CELL_PACKETS,
): Promise<Uint8Array> {
  const { start, end } = range
  const grid = cellPackets * PACKET_SAMPLES
  const whole = start % grid === 0 && (end % grid === 0 || end === pcm.samples)
  if (!whole || start < 0 || start >= end || end > pcm.samples) {
    throw new RangeError(`samples ${start} to ${end} are no cells of a track of ${pcm.samples}`)
  }
  const cells: Uint8Array[] = []
  for (let at = start; at < end; at += grid) {
    cells.push(await cell(pcm, at, cellPackets, bitrate, signal))
  }
  return Buffer.concat(cells)
}

async function cell(
  pcm: PcmSource,
  start: number,
  cellPackets: number,
  bitrate: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const firstWanted = start / PACKET_SAMPLES
  const isLast = start + cellPackets * PACKET_SAMPLES >= pcm.samples
  const endWanted = isLast ? packetCount(pcm.samples) : firstWanted + cellPackets
  const firstEncoded = Math.max(0, firstWanted - PRE_ROLL)
  const from = firstEncoded * PACKET_SAMPLES
  const to = Math.min(pcm.samples, (endWanted + POST_ROLL) * PACKET_SAMPLES)

  const pieces: Buffer[] = []
  for await (const piece of encodeAac(samplesAsBytes(pcm, from, to, signal), bitrate, signal)) {
    pieces.push(piece)
  }
  const adts = Buffer.concat(pieces)
  const all = [...packets(adts)]
  if (all.length !== packetCount(to - from)) {
    throw new Error(
      `ffmpeg made ${all.length} packets of the samples ${from} to ${to}, not ${packetCount(to - from)}`,
    )
  }
  const first = all[firstWanted - firstEncoded]
  const last = all[endWanted - firstEncoded - 1]
  if (!first || !last)
    throw new Error(`the packets of the samples ${from} to ${to} are missing`)
  return adts.subarray(first.header, last.end)
}

/** Number of packets of a track of `samples` samples: one more than fits, for the decoder's delay. */
function packetCount(samples: number): number {
  return Math.ceil(samples / PACKET_SAMPLES) + 1
}

/**
 * The samples [start, end) in the byte order that ffmpeg reads.
 * @throws Error when some of them are missing
 */
export async function* samplesAsBytes(
  pcm: PcmSource,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of pcm.chunks(start, end, { signal })) {
    bytes += chunk.byteLength
    yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
  if (bytes !== (end - start) * BYTES_PER_SAMPLE) {
    throw new Error(`${bytes} bytes of the samples ${start} to ${end}`)
  }
}

/**
 * Joins the packets of consecutive ranges to one .m4a, moov first, exactly `samples` long. The parts are read
 * once now and once more whenever the file is read, because a day of music is 1.4 GB.
 * @throws Error when the packets do not make up the track; PermanentError RENDER_FAILED when two consecutive
 * packets do not fit together
 */
export async function aacJoin(parts: Parts, samples: number): Promise<Streamed> {
  const count = packetCount(samples)
  const sizes = new Uint32Array(count)
  let before: WindowSequence | undefined
  let n = 0
  let bytes = 0
  for await (const part of parts) {
    for (const packet of packets(part)) {
      const after = windowSequence(part, packet)
      if (before && after && !mayFollow(before, after)) {
        throw new PermanentError(
          'RENDER_FAILED',
          `AAC packet ${n}: a "${after}" window after a "${before}" window`,
        )
      }
      before = after
      const size = packet.end - packet.start
      bytes += size
      if (n < count) sizes[n] = size
      n++
    }
  }
  if (n !== count) throw new Error(`${n} AAC packets for ${samples} samples, not ${count}`)
  const head = m4aHead(sizes, samples)
  return {
    byteLength: head.byteLength + bytes,
    async *[Symbol.asyncIterator]() {
      yield head
      for await (const part of parts) yield withoutHeaders(part)
    },
  }
}

/** The packets without their ADTS headers. */
function withoutHeaders(adts: Uint8Array): Uint8Array {
  const bare = Buffer.allocUnsafe(adts.length)
  let bytes = 0
  for (const { start, end } of packets(adts)) {
    bare.set(adts.subarray(start, end), bytes)
    bytes += end - start
  }
  return bare.subarray(0, bytes)
}
