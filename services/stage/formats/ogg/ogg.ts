import { type ByteWindow, unreadable } from '../byte-window.ts'
import type { Coded } from '../layout.ts'
import { type OggFormat, oggFormat } from './format.ts'

/**
 * An Ogg file that begins with a stream of Vorbis, Opus or FLAC; undefined when it is not Ogg. `oggSurvey`
 * examines the rest of the file. Source: RFC 3533 (Ogg).
 * @throws PermanentError MASTER_UNREADABLE when it holds another kind of stream, or several at once
 */
export async function oggStream(window: ByteWindow): Promise<Coded | undefined> {
  const head = Buffer.from(await window.glance(0, HEADER_BYTES))
  if (head.toString('latin1', 0, 4) !== 'OggS') return undefined
  const segments = await window.glance(HEADER_BYTES, head[26] ?? 0)
  const packetAt = HEADER_BYTES + segments.length
  const found = knownFormat(Buffer.from(await window.glance(packetAt, 64)), packetAt)
  const endOfFirst = packetAt + segments.reduce((sum, bytes) => sum + bytes, 0)
  // A first page that comes several times: decoders take it for headers out of turn. The survey reports it.
  let nextPage = endOfFirst
  for (let n = 0; n < MAX_AGAIN; n++) {
    if (!head.equals(await window.glance(nextPage, HEADER_BYTES))) break
    nextPage += endOfFirst
  }
  const next = Buffer.from(await window.glance(nextPage, 6))
  const isPage = next.toString('latin1', 0, 5) === 'OggS\0'
  if (isPage && ((next[5] ?? 0) & BEGINS_A_STREAM) !== 0) throw severalStreams(nextPage)
  const { codec, decoder } = found
  const whole = { start: 0, end: window.bytes }
  const feed =
    nextPage === endOfFirst
      ? [whole]
      : [
          { ...whole, end: endOfFirst },
          { ...whole, start: nextPage },
        ]
  return { kind: 'coded', container: 'Ogg', codec, demuxer: 'ogg', decoder, feed }
}

/** Maximum number of copies of the first page. */
const MAX_AGAIN = 100
const BEGINS_A_STREAM = 2
/** Size of a page's header up to its segments. It has the serial number and the checksum of the page in it. */
const HEADER_BYTES = 27

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
