import { type ByteWindow, unreadable } from './byte-window.ts'
import type { Coded } from './layout.ts'
import { printable } from './printable.ts'

/**
 * An Ogg file that holds one stream of Vorbis, Opus or FLAC; undefined when it is no Ogg.
 * Sources: RFC 3533 (Ogg), RFC 7845 (Opus), the Vorbis I specification, RFC 9639 section 10.1.
 * @throws PermanentError MASTER_UNREADABLE when it holds another stream, or several at once.
 */
export async function oggStream(window: ByteWindow): Promise<Coded | undefined> {
  const head = await window.glance(0, 27)
  if (latin1(head).slice(0, 4) !== 'OggS') return undefined
  const segments = await window.glance(27, head[26] ?? 0)
  const packetAt = 27 + segments.length
  const first = latin1(await window.glance(packetAt, 16))
  const found = STREAMS.find(({ magic }) => first.startsWith(magic))
  if (found === undefined) {
    throw unreadable(
      packetAt,
      `an Ogg stream that begins with ${printable(JSON.stringify(first.slice(0, 8)))}`,
      'Vorbis, Opus or FLAC',
    )
  }
  const nextPage = packetAt + segments.reduce((sum, bytes) => sum + bytes, 0)
  const next = await window.glance(nextPage, 6)
  if (((next[5] ?? 0) & BEGINS_A_STREAM) !== 0) {
    throw unreadable(nextPage, 'a second stream in the Ogg file', 'one stream, of audio')
  }
  const { codec, decoder } = found
  const feed = [{ start: 0, end: window.bytes }]
  return { kind: 'coded', container: 'Ogg', codec, demuxer: 'ogg', decoder, feed }
}

const BEGINS_A_STREAM = 2

const STREAMS = [
  { magic: '\x01vorbis', codec: 'Vorbis', decoder: 'vorbis' },
  { magic: 'OpusHead', codec: 'Opus', decoder: 'opus' },
  { magic: '\x7fFLAC', codec: 'FLAC', decoder: 'flac' },
] as const

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
