import type { MasterBytes } from '../byte-window.ts'
import type { Coded } from '../layout.ts'
import { HEADER_BYTES, isAlike, type MpegFrame, mpegFrame } from './frame.ts'
import { CHAIN_BYTES, findFrames } from './frames.ts'

/** The places at which the size of frames is sampled, as shares of the stream. */
const PLACES = [0, 1 / 3, 2 / 3, 1]

/**
 * The length of a stream of MPEG audio or ADTS by the number of its frames, seconds, if it is more than
 * `mostSeconds`; otherwise, and for other formats, undefined. The frames are counted only if their size in a
 * few places makes such a length likely. Counting is a hundred times faster than decoding.
 */
export async function overlongMpeg(
  { sift, feed: [range] }: Coded,
  file: MasterBytes,
  mostSeconds: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (sift === undefined || range === undefined || range instanceof Uint8Array) return undefined
  const most = (mostSeconds * sift.rate) / sift.samples
  const { start, end } = range
  const isLikely = (frameBytes: number) => end - start > most * frameBytes
  if (!isLikely(MIN_FRAME_BYTES)) return undefined
  const seen = { frames: 0, bytes: 0 }
  for (const share of PLACES) {
    const at = start + Math.floor(share * Math.max(0, end - start - 2 * CHAIN_BYTES))
    const bytes = await file.read(at, Math.min(end, at + 2 * CHAIN_BYTES), signal)
    const { frames, next } = walked(bytes, sift, 0)
    seen.frames += frames
    seen.bytes += next
  }
  if (seen.frames === 0 || !isLikely(seen.bytes / seen.frames)) return undefined
  let frames = 0
  let held = Buffer.alloc(0)
  for await (const piece of file.stream(start, end, signal)) {
    held = Buffer.concat([held, piece])
    const found = walked(held, sift, CHAIN_BYTES)
    frames += found.frames
    held = held.subarray(found.next)
  }
  frames += walked(held, sift, 0).frames
  return frames > most ? (frames * sift.samples) / sift.rate : undefined
}

/** Minimum size of a frame of AAC in ADTS, bytes. In MPEG audio the smallest frame has 24. */
const MIN_FRAME_BYTES = 8

/**
 * The number of frames in these bytes, and the position at which to continue.
 * @param rest number of bytes that have to follow a position for a decision on it
 */
function walked(bytes: Uint8Array, first: MpegFrame, rest: number) {
  let frames = 0
  let at = 0
  while (at + Math.max(rest, HEADER_BYTES) <= bytes.length) {
    const frame = mpegFrame(bytes, at)
    if (frame !== undefined && isAlike(frame, first)) {
      frames++
      at += frame.bytes
      continue
    }
    const to = bytes.length - Math.max(0, rest - 1)
    at = findFrames(bytes, { from: at + 1, to, isEnd: rest === 0 })?.at ?? to
  }
  return { frames, next: Math.min(at, bytes.length) }
}
