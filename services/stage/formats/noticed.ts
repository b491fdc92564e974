import type { Mp4Walk } from './mp4/walk.ts'
import type { FramesSeen } from './mpeg/frames-seen.ts'

/**
 * What is noticed while a compressed master is decoded from its beginning. It is complete once the end has been
 * reached.
 */
export interface Noticed {
  /** Number of packets that the decoder could not decode. */
  undecodable: number
  /** Number of other errors that the decoder reported. */
  faults: number
  /** Whether the stream continues behind the end that its edit list gives to the music. */
  isEndedEarly: boolean
  /** For streams whose frames are located here: what lies between the frames. */
  frames?: FramesSeen
  /** For fragmented MP4: what the fragments say. */
  walk?: Mp4Walk
}

export function nothingNoticed(): Noticed {
  return { undecodable: 0, faults: 0, isEndedEarly: false }
}

/**
 * Counts one line of ffmpeg's error output. ffmpeg reports a lost packet in different words in versions 5 and
 * 6, and from 7 on. Positions and lengths are determined here and not taken from a demuxer, and messages of
 * filters or of the muxer are not the master's fault.
 */
export function noticeLine(noticed: Noticed, line: string, decoder: string): void {
  if (LOST.test(line)) noticed.undecodable++
  else if (line.startsWith(`[${decoder} @ `)) noticed.faults++
}

const LOST = /Error (while decoding stream|submitting (a )?packet to|processing (a )?packet in)/
