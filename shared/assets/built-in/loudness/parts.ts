import { setImmediate as breathe } from 'node:timers/promises'
import type { PcmSource } from '../../../audio/pcm.ts'
import type { Range } from '../../definition.ts'
import { HOP_SAMPLES, Weighting } from './k-weighting.ts'
import { PEAK_REACH, TruePeak } from './true-peak.ts'

/** The data from which the loudness of a track is computed. */
export interface LoudnessData {
  /** The mean square of both weighted channels, summed, for each whole hop of 100 ms; full scale is 1. */
  readonly energies: Float64Array
  /** The largest magnitude of the samples, 0 to 32,768. */
  readonly samplePeak: number
  /** The largest magnitude at or between samples, in the same unit; it may be more than 32,768. */
  readonly truePeak: number
}

/** The number of hops before a cell that are weighted and dropped: the filters decay by a factor of 10^10 in each. */
const PRE_ROLL = 3
/** The number of samples that are read at once: 237 hops, 24 s, 4 MiB. */
const PIECE = 237 * HOP_SAMPLES

/**
 * The loudness data of a range as bytes, 19 KB for 238 s. Each cell of the grid is measured by itself, so the bytes do
 * not depend on how a plan groups the cells. A hop belongs to the cell in which it begins.
 * @param grid The number of samples in a cell. The range begins at a multiple of it.
 */
export async function loudnessPart(
  pcm: PcmSource,
  range: Range,
  grid: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const cells: Uint8Array[] = []
  for (let start = range.start; start < range.end; start += grid) {
    const end = Math.min(range.end, start + grid)
    cells.push(pack(await measureCell(pcm, { start, end }, signal)))
  }
  return Buffer.concat(cells)
}

async function measureCell(
  pcm: PcmSource,
  { start, end }: Range,
  signal: AbortSignal,
): Promise<LoudnessData> {
  const firstHop = Math.ceil(start / HOP_SAMPLES)
  const endHop = Math.min(Math.ceil(end / HOP_SAMPLES), Math.floor(pcm.samples / HOP_SAMPLES))
  const energies = new Float64Array(Math.max(0, endHop - firstHop))
  const peak = new TruePeak()
  let weighting: Weighting | undefined
  const from = Math.max(0, firstHop - PRE_ROLL) * HOP_SAMPLES
  const last = Math.max(end, endHop * HOP_SAMPLES)
  const room = new Int16Array(2 * (Math.min(PIECE, last - from) + 2 * PEAK_REACH))
  for (let at = from; at < last; at += PIECE) {
    const to = Math.min(last, at + PIECE)
    const first = Math.max(0, at - PEAK_REACH)
    const until = Math.min(pcm.samples, to + PEAK_REACH)
    const piece = await pcm.read(first, until, signal, room.subarray(0, 2 * (until - first)))
    const number = 2 * (at - first)
    weighting ??= new Weighting(piece[number] ?? 0, piece[number + 1] ?? 0)
    for (let hop = at / HOP_SAMPLES; (hop + 1) * HOP_SAMPLES <= to; hop++) {
      const energy = weighting.hop(piece, 2 * (hop * HOP_SAMPLES - first))
      if (hop >= firstHop && hop < endHop) energies[hop - firstHop] = energy
    }
    peak.scan(piece)
    // Samples that another asset of the step has read come without waiting: yield to other work all the same.
    await breathe()
  }
  return { energies, samplePeak: peak.samplePeak, truePeak: peak.truePeak }
}

/** A cell as bytes: the number of hops, both peaks, the energies; 64-bit floats, little-endian. */
function pack({ energies, samplePeak, truePeak }: LoudnessData): Uint8Array {
  const numbers = Float64Array.of(energies.length, samplePeak, truePeak, ...energies)
  return new Uint8Array(numbers.buffer)
}

/** Joins the loudness data of consecutive ranges. @throws Error when the bytes are not from `loudnessPart`. */
export function unpackLoudness(parts: readonly Uint8Array[]): LoudnessData {
  const all = new Uint8Array(Buffer.concat(parts))
  if (all.length % 8 !== 0) throw new Error('a part of a loudness has a wrong length')
  const numbers = new Float64Array(all.buffer)
  const energies: Float64Array[] = []
  let [samplePeak, truePeak] = [0, 0]
  for (let at = 0; at < numbers.length; ) {
    const [hops = 0, ofSamples = 0, ofTrack = 0] = numbers.subarray(at, at + 3)
    const cell = numbers.subarray(at + 3, at + 3 + hops)
    if (cell.length !== hops) throw new Error('a part of a loudness is cut')
    energies.push(cell)
    samplePeak = Math.max(samplePeak, ofSamples)
    truePeak = Math.max(truePeak, ofTrack)
    at += 3 + hops
  }
  const joined = new Float64Array(energies.reduce((sum, cell) => sum + cell.length, 0))
  let hop = 0
  for (const cell of energies) {
    joined.set(cell, hop)
    hop += cell.length
  }
  return { energies: joined, samplePeak, truePeak }
}
