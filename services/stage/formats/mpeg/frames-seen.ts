import type { Gap } from '../gap.ts'
import { Reservoir } from './reservoir.ts'

/** What was seen of a stream of MPEG audio or ADTS on the way to its end. */
export interface FramesSeen {
  /** Frames of music, and their bytes. */
  frames: number
  bytes: number
  /** Frames in which an encoder has noted the length of a file. */
  tags: number
  /** The byte of the master where the last of them ends. */
  end: number
  /** Over these bytes, as LAME counts it. */
  crc: number
  /** Of layer III: what frames take from those before them. */
  readonly reservoir: Reservoir
  /** Bytes between frames that are neither frames nor tags nor filling: how many, in how many places. */
  lostBytes: number
  lostPlaces: number
  /** The first such place, and how many frames come before it. */
  lostAt?: number
  lostAfter?: number
  /** The same behind the last frame. */
  behindBytes: number
  behindAt?: number
  /** Another master that begins between or behind them, and how many bytes there are from there to the next frame. */
  other?: { readonly name: string; readonly at: number; readonly bytes: number }
  /** Whether the stream ends within a frame. */
  isCut: boolean
  /** Whether the loudness of the frames was changed after they were made. */
  isRegained: boolean
}

export function noFramesSeen(): FramesSeen {
  return {
    ...{
      frames: 0,
      bytes: 0,
      tags: 0,
      end: 0,
      crc: 0,
      lostBytes: 0,
      lostPlaces: 0,
      behindBytes: 0,
    },
    ...{ isCut: false, isRegained: false, reservoir: new Reservoir() },
  }
}

/** Frames that come through. */
export function seeFrames(seen: FramesSeen, count: number, bytes: Uint8Array): void {
  seen.frames += count
  seen.bytes += bytes.length
  seen.crc = crcOf(bytes, seen.crc)
}

/**
 * A gap that has passed.
 * @param at the byte of the master where it begins
 * @param next what follows it: a frame that stands for itself, one that needs what was before it, or the end
 */
export function seeGap(
  seen: FramesSeen,
  gap: Gap,
  at: number,
  next: 'alone' | 'needs-more' | 'end',
): void {
  const verdict = gap.verdict()
  if (gap.isRegained) seen.isRegained = true
  if (verdict.kind === 'master') {
    const from = at + verdict.at
    seen.other ??= { name: verdict.name, at: from, bytes: gap.bytes - verdict.at }
    return
  }
  // Zeros between files that were joined end where a file begins; others lie where frames were.
  if (verdict.kind === 'filling' && !(verdict.isBlank && next === 'needs-more')) return
  const from = verdict.kind === 'unknown' ? verdict.at : 0
  if (next === 'end') {
    seen.behindBytes = gap.bytes - from
    seen.behindAt = at + from
    return
  }
  seen.lostBytes += gap.bytes - from
  seen.lostPlaces++
  seen.lostAt ??= at + from
  seen.lostAfter ??= seen.frames
}

/** CRC-16 (reflected polynomial 0xa001) of bytes behind others, two at a time. */
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

/** Of two bytes at a time, the first of them in the lower half. */
const CRC_TABLE = Uint16Array.from({ length: 1 << 16 }, (_, start) => {
  let crc = start
  for (let bit = 0; bit < 16; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1
  return crc
})
