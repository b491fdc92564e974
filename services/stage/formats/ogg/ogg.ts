import { type ByteWindow, unreadable } from '../byte-window.ts'
import type { Coded } from '../layout.ts'
import { type OggFormat, oggFormat } from './format.ts'

/**
 * An Ogg file that begins with a stream of Vorbis, Opus or FLAC; undefined when it is not Ogg. `oggSurvey`
 * examines the rest of the file. Source: RFC 3533 (Ogg).
 * @throws PermanentError MASTER_UNREADABLE when it holds another kind of stream, or several at once
 */
export async function oggStream(window: ByteWindow): Promise<Coded | undefined> {
  const head = await window.glance(0, 27)
  if (Buffer.from(head).toString('latin1', 0, 4) !== 'OggS') return undefined
  const segments = await window.glance(27, head[26] ?? 0)
  const packetAt = 27 + segments.length
  const found = knownFormat(Buffer.from(await window.glance(packetAt, 64)), packetAt)
  const nextPage = packetAt + segments.reduce((sum, bytes) => sum + bytes, 0)
  const next = Buffer.from(await window.glance(nextPage, 6))
  const isPage = next.toString('latin1', 0, 5) === 'OggS\0'
  if (isPage && ((next[5] ?? 0) & BEGINS_A_STREAM) !== 0) throw severalStreams(nextPage)
  const { codec, decoder } = found
  const feed = [{ start: 0, end: window.bytes }]
  return { kind: 'coded', container: 'Ogg', codec, demuxer: 'ogg', decoder, feed }
}

const BEGINS_A_STREAM = 2

/**
 * The format of a stream by its first packet.
 * @param at position of the packet, for the error, bytes
 * @throws PermanentError MASTER_UNREADABLE when the codec is not accepted
 */
export function knownFormat(packet: Buffer, at: number): OggFormat {
  const format = oggFormat(packet)
  if (typeof format === 'object') return format
  const what = format === undefined ? 'of a kind that is not known here' : `of ${format}`
  throw unreadable(at, `an Ogg stream ${what}`, 'Vorbis, Opus or FLAC')
}

/** The error for an Ogg file with several concurrent streams, as videos have. */
export function severalStreams(at: number) {
  return unreadable(at, 'a second stream in the Ogg file', 'one stream, of audio')
}
