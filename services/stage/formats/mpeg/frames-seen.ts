import type { Gap } from '../gap.ts'
import { Reservoir } from './reservoir.ts'

/** What was seen of a stream of MPEG audio or ADTS up to its end. */
export interface FramesSeen {
  /** Number of frames with music, and of their bytes. */
  frames: number
  bytes: number
  /** Number of frames in which an encoder has noted the length of a file. */
  tags: number
  /** Position in the master at which the last frame ends. */
  end: number
  /** The CRC-16 of the bytes of music, computed as LAME does. */
  crc: number
  /** For layer III: the use that frames make of data before them. */
  readonly reservoir: Reservoir
  /** Bytes between frames that are neither frames nor tags nor filling: their number, and the number of places. */
  lostBytes: number
  lostPlaces: number
  /** Position of the first such place, and the number of frames before it. */
  lostAt?: number
  lostAfter?: number
  /** Number and position of such bytes behind the last frame. */
  behindBytes: number
  behindAt?: number
  /**
   * Another master that begins between or behind the frames, and the number of bytes from there to the next
   * frame.
   */
  other?: { readonly name: string; readonly at: number; readonly bytes: number }
  /** Whether the stream ends within a frame. */
  isCut: boolean
  /** Whether the loudness of the frames was changed after they were encoded. */
  isRegained: boolean
}

export function noFramesSeen(): FramesSeen {
  return {
    frames: 0,
    bytes: 0,
    tags: 0,
    end: 0,
    crc: 0,
    lostBytes: 0,
    lostPlaces: 0,
    behindBytes: 0,
    isCut: false,
    isRegained: false,
    reservoir: new Reservoir(),
  }
}

/** Adds frames of music. */
export function seeFrames(seen: FramesSeen, count: number, bytes: Uint8Array): void {
  seen.frames += count
  seen.bytes += bytes.length
  seen.crc = crcOf(bytes, seen.crc)
}

/**
 * Adds a gap.
 * @param at the position in the master at which the gap begins
 * @param next what follows the gap: a frame that can begin a stream, one that needs data from before, or the
 * end
 * @returns whether no music is missing, so that the next frame may go on with data of those before
 */
export function seeGap(
  seen: FramesSeen,
  gap: Gap,
  at: number,
  next: 'alone' | 'needs-more' | 'end',
): boolean {
  if (gap.bytes === 0) return true
  const verdict = gap.verdict()
  if (gap.isRegained) seen.isRegained = true
  if (verdict.kind === 'master') {
    const from = at + verdict.at
    seen.other ??= { name: verdict.name, at: from, bytes: gap.bytes - verdict.at }
    return false
  }
  // Zeros between joined files are followed by a frame that can begin a file. Other zeros lie where frames
  // were.
  if (verdict.kind === 'filling' && !(verdict.isBlank && next === 'needs-more')) return true
  const from = verdict.kind === 'unknown' ? verdict.at : 0
  if (next === 'end') {
    seen.behindBytes = gap.bytes - from
    seen.behindAt = at + from
    return false
  }
  seen.lostBytes += gap.bytes - from
  seen.lostPlaces++
  seen.lostAt ??= at + from
  seen.lostAfter ??= seen.frames
  return false
}

/** Continues a CRC-16 (reflected polynomial 0xa001) over more bytes, two at a time. */
function crcOf(bytes: Uint8Array, before: number): number {
  let crc = before
  const even = bytes.length & ~1
  for (let i = 0; i < even; i += 2) {
    crc = CRC_TABLE[crc ^ ((bytes[i] as number) | ((bytes[i + 1] as number) << 8))] as number
  }
  if (even === bytes.length) return crc
  const last = (crc ^ (bytes[even] as number)) & 0xff
  return (crc >> 8) ^ (CRC_TABLE[last << 8] as number)
}

/** The remainders of two bytes, of which the first one is in the lower half. */
const CRC_TABLE = Uint16Array.from({ length: 1 << 16 }, (_, start) => {
  let crc = start
  for (let bit = 0; bit < 16; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1
  return crc
})
