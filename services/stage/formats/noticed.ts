import type { Mp4Walk } from './mp4/walk.ts'
import type { FramesSeen } from './mpeg/frames-seen.ts'

/** What is noticed of a compressed master while it is decoded from its beginning: all of it, once its end has come. */
export interface Noticed {
  /** Packets that the decoder could make nothing of. */
  undecodable: number
  /** What else the decoder found wrong. */
  faults: number
  /** Whether the stream goes on behind where its list of edits ends the music. */
  isEndedEarly: boolean
  /** Where frames are looked for: what lay between them. */
  frames?: FramesSeen
  /** Of MP4 in fragments: what they say. */
  walk?: Mp4Walk
}

export function nothingNoticed(): Noticed {
  return { undecodable: 0, faults: 0, isEndedEarly: false }
}

/**
 * Takes a line of what ffmpeg complains of. That a packet is lost is said in other words by other versions (5 and 6,
 * 7 and later). What lies where, and how much of it there is, is looked at here rather than left to a demuxer; and
 * what a filter or the muxer says is none of the master's fault.
 */
export function noticeLine(noticed: Noticed, line: string, decoder: string): void {
  if (LOST.test(line)) noticed.undecodable++
  else if (line.startsWith(`[${decoder} @ `)) noticed.faults++
}

const LOST = /Error (while decoding stream|submitting (a )?packet to|processing (a )?packet in)/
