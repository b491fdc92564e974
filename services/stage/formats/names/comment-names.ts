import { VORBIS_COMMENT } from '#shared/audio/flac-blocks.ts'
import type { ByteWindow } from '../byte-window.ts'
import { MAX_TEXT_BYTES, type RawNames, strictText } from './text.ts'

const MAX_BLOCKS = 128
const MAX_PAGES = 64
const MAX_COMMENTS = 1000
/**
 * Maximum number of bytes read of a comment block. Covers lie among the comments of Ogg; of a longer block only
 * the beginning is read.
 */
const MAX_BLOCK_BYTES = 256 << 10

/** The names in the comments of a FLAC file. Source: RFC 9639, 8. */
export async function flacNames(window: ByteWindow, start: number): Promise<RawNames> {
  let at = start + 4
  for (let n = 0; n < MAX_BLOCKS; n++) {
    const head = Buffer.from(await window.glance(at, 4))
    if (head.length < 4) break
    const type = head.readUInt8(0)
    const size = head.readUIntBE(1, 3)
    if ((type & 0x7f) === VORBIS_COMMENT) {
      const most = Math.min(size, MAX_BLOCK_BYTES)
      return commentNames(Buffer.from(await window.glance(at + 4, most)))
    }
    if (type & 0x80) break
    at += 4 + size
  }
  return {}
}

/**
 * The names in the comments of Vorbis, Opus or FLAC in Ogg: the second packet. Sources: RFC 3533, 6; RFC 7845,
 * 5.2.
 */
export async function oggNames(window: ByteWindow, start: number): Promise<RawNames> {
  const packet = await secondPacket(window, start)
  for (const [magic, skip] of MAGICS) {
    if (packet.toString('latin1', 0, magic.length) === magic)
      return commentNames(packet.subarray(skip))
  }
  // A FLAC block begins with its type and three bytes of length.
  return ((packet[0] ?? 0) & 0x7f) === VORBIS_COMMENT ? commentNames(packet.subarray(4)) : {}
}

const MAGICS: readonly (readonly [magic: string, skip: number])[] = [
  ['\x03vorbis', 7],
  ['OpusTags', 8],
]

async function secondPacket(window: ByteWindow, start: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  let packet = 0
  let at = start
  for (let page = 0; page < MAX_PAGES && bytes < MAX_BLOCK_BYTES; page++) {
    const head = Buffer.from(await window.glance(at, 27))
    if (head.length < 27 || head.toString('latin1', 0, 4) !== 'OggS') break
    const segments = Buffer.from(await window.glance(at + 27, head.readUInt8(26)))
    let from = at + 27 + segments.length
    for (const size of segments) {
      if (packet === 1) {
        const piece = Buffer.from(await window.glance(from, size))
        pieces.push(piece)
        bytes += piece.length
      }
      from += size
      // A segment shorter than 255 bytes ends its packet.
      if (size < 255 && ++packet > 1) return Buffer.concat(pieces)
    }
    at = from
  }
  return Buffer.concat(pieces)
}

/** The names in a block of comments: a vendor and then `NAME=text`, each preceded by its length, little-endian. */
function commentNames(block: Buffer): RawNames {
  const found: Record<'title' | 'artist', string[]> = { title: [], artist: [] }
  let at = 0
  const taken = () => {
    if (at + 4 > block.length) return undefined
    const size = block.readUInt32LE(at)
    const from = at + 4
    at = from + size
    return at <= block.length ? block.subarray(from, at) : undefined
  }
  if (taken() === undefined || at + 4 > block.length) return {}
  const count = Math.min(block.readUInt32LE(at), MAX_COMMENTS)
  at += 4
  for (let n = 0; n < count; n++) {
    const comment = taken()
    if (comment === undefined) break
    const [, name = ''] = /^(title|artist)=/i.exec(comment.toString('latin1', 0, 7)) ?? []
    if (name === '' || comment.length > MAX_TEXT_BYTES) continue
    const text = strictText(comment.subarray(name.length + 1))
    if (text?.trim()) found[name.toLowerCase() as 'title' | 'artist'].push(text)
  }
  const joined = (texts: readonly string[]) => (texts.length > 0 ? texts.join(', ') : undefined)
  return { title: joined(found.title), artist: joined(found.artist) }
}
