import type { ByteWindow } from '../byte-window.ts'
import { looseText, MAX_TEXT_BYTES, type RawNames, strictText } from './text.ts'

/** Maximum number of frames that are read. Pictures and private frames are skipped. */
const MAX_FRAMES = 200
/** Maximum number of bytes read of an unsynchronised tag, which has to be read as a whole. */
const MAX_STUFFED_BYTES = 256 << 10

const HEADER_BYTES = 10
const UNSYNCHRONISED = 0x80
const EXTENDED = 0x40
const FOOTER = 0x10

/**
 * Position behind an ID3v2 tag that begins the file, and behind another one that follows it; 0 when there is
 * none.
 */
export async function id3v2End(window: ByteWindow): Promise<number> {
  let end = 0
  for (let tags = 0; tags < 4; tags++) {
    const head = await headerAt(window, end)
    if (head === undefined || head.end > window.bytes) break
    end = head.end
  }
  return end
}

interface Header {
  readonly version: number
  readonly flags: number
  readonly end: number
}

async function headerAt(window: ByteWindow, at: number): Promise<Header | undefined> {
  const head = Buffer.from(await window.glance(at, HEADER_BYTES))
  if (head.length < HEADER_BYTES || head.toString('latin1', 0, 3) !== 'ID3') return undefined
  const [version = 0, flags = 0] = [head[3], head[5]]
  if (version < 2 || version > 4) return undefined
  const footer = (flags & FOOTER) !== 0 && version === 4 ? HEADER_BYTES : 0
  return { version, flags, end: at + HEADER_BYTES + synchsafe(head, 6) + footer }
}

/** Decodes a number with seven bits in each of four bytes. */
function synchsafe(bytes: Buffer, at: number): number {
  return [0, 1, 2, 3].reduce((sum, i) => sum * 128 + ((bytes[at + i] ?? 0) & 0x7f), 0)
}

/** The title and the artist in the ID3v2 tag at byte `at`. Sources: id3.org, versions 2.2.0, 2.3.0 and 2.4.0. */
export async function id3Names(window: ByteWindow, at: number): Promise<RawNames> {
  const header = await headerAt(window, at)
  if (header === undefined) return {}
  const { version, flags } = header
  const end = Math.min(header.end, window.bytes)
  const bodyAt = at + HEADER_BYTES
  // Before version 2.4 unsynchronisation applies to the whole tag, sizes included.
  if ((flags & UNSYNCHRONISED) !== 0 && version < 4) {
    const stuffed = await window.glance(bodyAt, Math.min(end - bodyAt, MAX_STUFFED_BYTES))
    const body = unstuffed(Buffer.from(stuffed))
    const read = async (from: number, length: number) => body.subarray(from, from + length)
    return framesNames(read, body.length, header)
  }
  const read = async (from: number, length: number) => {
    const most = Math.max(0, Math.min(length, end - bodyAt - from))
    return Buffer.from(await window.glance(bodyAt + from, most))
  }
  return framesNames(read, end - bodyAt, header)
}

type Read = (from: number, length: number) => Promise<Buffer>

async function framesNames(read: Read, bytes: number, header: Header): Promise<RawNames> {
  const { version, flags } = header
  const names: { title?: string; artist?: string } = {}
  const headBytes = version === 2 ? 6 : 10
  let at = 0
  if ((flags & EXTENDED) !== 0 && version > 2) {
    const size = await read(0, 4)
    if (size.length < 4) return {}
    at = version === 4 ? synchsafe(size, 0) : 4 + size.readUInt32BE(0)
  }
  for (let frames = 0; frames < MAX_FRAMES && at + headBytes <= bytes; frames++) {
    const head = await read(at, headBytes)
    if (head.length < headBytes || head[0] === 0) break
    const id = head.toString('latin1', 0, version === 2 ? 3 : 4)
    const size = sizeOf(head, version)
    const field = FIELDS[id]
    if (field !== undefined && names[field] === undefined && size <= MAX_TEXT_BYTES) {
      const text = textOf(await read(at + headBytes, size), version, head[9] ?? 0)
      if (text !== undefined) names[field] = text
    }
    if (names.title !== undefined && names.artist !== undefined) break
    at += headBytes + size
  }
  return names
}

const FIELDS: Readonly<Record<string, 'title' | 'artist'>> = {
  TIT2: 'title',
  TT2: 'title',
  TPE1: 'artist',
  TP1: 'artist',
}

function sizeOf(head: Buffer, version: number): number {
  if (version === 2) return head.readUIntBE(3, 3)
  return version === 4 ? synchsafe(head, 4) : head.readUInt32BE(4)
}

/** The text of a frame. Undefined if it is compressed, encrypted or not text. */
function textOf(frame: Buffer, version: number, flags: number): string | undefined {
  let body = frame
  if (version === 3 && (flags & 0xc0) !== 0) return undefined
  if (version === 4) {
    if ((flags & 0x0c) !== 0) return undefined
    if ((flags & 0x01) !== 0) body = body.subarray(4)
    if ((flags & 0x02) !== 0) body = unstuffed(body)
  }
  const text = decoded(body)
  // Several values follow one another, each terminated by a NUL.
  const values = text?.split('\0').filter((value) => value.trim() !== '')
  return values?.length ? values.join(', ') : undefined
}

function decoded(body: Buffer): string | undefined {
  const bytes = body.subarray(1)
  switch (body[0]) {
    case 0:
      return bytes.toString('latin1')
    case 1: {
      const isBig = bytes[0] === 0xfe && bytes[1] === 0xff
      // Each of several values may have its own byte order mark.
      return new TextDecoder(isBig ? 'utf-16be' : 'utf-16le')
        .decode(bytes)
        .replaceAll('\ufeff', '')
    }
    case 2:
      return new TextDecoder('utf-16be').decode(bytes)
    case 3:
      return strictText(bytes)
    default:
      return undefined
  }
}

/**
 * Reverses unsynchronisation: removes the zeros that were inserted behind each 0xFF so that no player takes it
 * for a frame.
 */
function unstuffed(bytes: Buffer): Buffer {
  const out = Buffer.alloc(bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    out[length++] = bytes[i] ?? 0
    if (bytes[i] === 0xff && bytes[i + 1] === 0) i++
  }
  return out.subarray(0, length)
}

/** The names in the last 128 bytes of a file, if they are an ID3v1 tag. */
export async function id3v1Names(window: ByteWindow): Promise<RawNames> {
  const tag = Buffer.from(await window.glance(Math.max(0, window.bytes - 128), 128))
  if (tag.length < 128 || tag.toString('latin1', 0, 3) !== 'TAG') return {}
  return { title: looseText(tag.subarray(3, 33)), artist: looseText(tag.subarray(33, 63)) }
}
