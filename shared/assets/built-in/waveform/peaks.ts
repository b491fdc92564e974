import type { PcmSource } from '../../../audio/pcm.ts'
import type { Range } from '../../definition.ts'

/** The number of samples in one record. */
export const RECORD_SAMPLES = 256

/**
 * The data of a waveform, one record per 256 samples; the last one may have fewer.
 * `lowest` and `highest` are over both channels, `mixLow` and `mixHigh` over their mean.
 */
export interface Peaks {
  readonly records: number
  readonly mixLow: Int16Array
  readonly mixHigh: Int16Array
  readonly lowest: Int16Array
  readonly highest: Int16Array
  /** Sum of the squares of both channels' numbers. */
  readonly energy: Float64Array
}

/** The peaks of a range, which begins at a multiple of 256. */
export async function peaksOf(
  pcm: PcmSource,
  range: Range,
  signal: AbortSignal,
): Promise<Peaks> {
  const peaks = empty(Math.ceil((range.end - range.start) / RECORD_SAMPLES))
  let record = 0
  // Pieces of whole records, about 1.5 s each.
  const size = RECORD_SAMPLES * 256
  for await (const piece of pcm.chunks(range.start, range.end, { size, signal })) {
    for (let at = 0; at < piece.length; at += 2 * RECORD_SAMPLES) {
      sumUp(piece, at, Math.min(piece.length, at + 2 * RECORD_SAMPLES), peaks, record++)
    }
  }
  return peaks
}

function sumUp(
  piece: Int16Array,
  from: number,
  to: number,
  peaks: Peaks,
  record: number,
): void {
  let [mixLow, mixHigh, lowest, highest, energy] = [32_767, -32_768, 32_767, -32_768, 0]
  for (let i = from; i < to; i += 2) {
    const left = piece[i] ?? 0
    const right = piece[i + 1] ?? 0
    // Rounded towards zero, as audiowaveform does.
    const mix = ((left + right) / 2) | 0
    if (mix < mixLow) mixLow = mix
    if (mix > mixHigh) mixHigh = mix
    if (left < lowest) lowest = left
    if (left > highest) highest = left
    if (right < lowest) lowest = right
    if (right > highest) highest = right
    energy += left * left + right * right
  }
  peaks.mixLow[record] = mixLow
  peaks.mixHigh[record] = mixHigh
  peaks.lowest[record] = lowest
  peaks.highest[record] = highest
  peaks.energy[record] = energy
}

/** Peaks as bytes: five columns one after the other, little-endian, 16 bytes per record. */
export function packPeaks(peaks: Peaks): Uint8Array {
  return Buffer.concat(
    COLUMNS.map((column) => {
      const { buffer, byteOffset, byteLength } = peaks[column]
      return Buffer.from(buffer, byteOffset, byteLength)
    }),
  )
}

/** Joins the peaks of consecutive ranges. @throws Error when the bytes are not from `packPeaks`. */
export function unpackPeaks(parts: readonly Uint8Array[]): Peaks {
  const counts = parts.map((part) => part.length / RECORD_BYTES)
  if (!counts.every(Number.isInteger))
    throw new Error('a part of a waveform has a wrong length')
  const peaks = empty(counts.reduce((sum, count) => sum + count, 0))
  let record = 0
  for (const [i, part] of parts.entries()) {
    let at = 0
    for (const column of COLUMNS) {
      const all = peaks[column]
      const bytes = (counts[i] ?? 0) * all.BYTES_PER_ELEMENT
      new Uint8Array(all.buffer, record * all.BYTES_PER_ELEMENT, bytes).set(
        part.subarray(at, at + bytes),
      )
      at += bytes
    }
    record += counts[i] ?? 0
  }
  return peaks
}

const COLUMNS = ['energy', 'mixLow', 'mixHigh', 'lowest', 'highest'] as const
const RECORD_BYTES = 16

function empty(records: number): Peaks {
  return {
    records,
    mixLow: new Int16Array(records),
    mixHigh: new Int16Array(records),
    lowest: new Int16Array(records),
    highest: new Int16Array(records),
    energy: new Float64Array(records),
  }
}
