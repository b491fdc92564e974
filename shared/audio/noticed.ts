import type { FramesSeen } from './frames-seen.ts'

/** What is noticed of a compressed master while it is decoded from its beginning: all of it, once its end has come. */
export interface Noticed {
  /** Packets that the decoder could make nothing of. */
  undecodable: number
  /** What else decoder and demuxer found wrong. */
  faults: number
  /** Whether the stream goes on behind where its list of edits ends the music. */
  isEndedEarly: boolean
  /** Where frames are looked for: what lay between them. */
  frames?: FramesSeen
}

export function nothingNoticed(): Noticed {
  return { undecodable: 0, faults: 0, isEndedEarly: false }
}

/**
 * Takes a line of what ffmpeg complains of. That a packet is lost is said in other words by other versions (5 and 6,
 * 7 and later); what the muxer or a filter says is none of the master's fault.
 */
export function noticeLine(
  noticed: Noticed,
  line: string,
  { demuxer, decoder }: { readonly demuxer: string; readonly decoder: string },
): void {
  if (LOST.test(line)) noticed.undecodable++
  else if (line.startsWith(`[${decoder} @ `)) noticed.faults++
  // A demuxer of several names says all of them.
  else if (new RegExp(`^\\[${demuxer}(,\\w+)* @ `).test(line)) noticed.faults++
}

const LOST = /Error (while decoding stream|submitting (a )?packet to|processing (a )?packet in)/
