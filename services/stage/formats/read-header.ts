import { type ByteRanges, ByteWindow, fourCc, unreadable } from './byte-window.ts'
import { flacLayout } from './flac/flac.ts'
import { aiffLayout } from './iff/aiff.ts'
import { wavLayout } from './iff/wav.ts'
import type { ByteRange, Coded, FlacLayout, PcmLayout } from './layout.ts'
import { isKnown, isText, looksLike } from './looks-like.ts'
import { type Mp4, mp4File } from './mp4/mp4.ts'
import { CHAIN_BYTES, findFrames } from './mpeg/frames.ts'
import { mpegStream } from './mpeg/mpeg.ts'
import { oggStream } from './ogg/ogg.ts'
import { afterTags, beginsWithId3 } from './tags.ts'

/** The header of a master: where its samples lie, or what has to be decoded. */
export type Header = PcmLayout | FlacLayout | Coded | Mp4

/**
 * Reads the header of a master. The format is recognized by content, never by name. Tags, zeros and blanks may
 * come before it. After a tag with a wrong length, or a frame that has lost its beginning, the first
 * consecutive frames of FLAC, Ogg, MP3 or AAC are searched. Normally reads a few kilobytes by range (and the
 * index of an MP4 file), 16 MiB at most. docs/reference/masters.md has every verdict.
 * @throws PermanentError MASTER_UNREADABLE that says what is wrong, at which byte, and what was expected
 */
export async function readHeader(file: ByteRanges, signal?: AbortSignal): Promise<Header> {
  if (file.bytes === 0) throw unreadable(0, 'the master is empty (0 bytes)', EXPECTED)
  const window = new ByteWindow(file, signal)
  const start = await afterTags(window)
  const found = await headerAt(file, start, signal)
  if (found !== undefined) return found
  const first = await window.glance(0, HEAD_BYTES)
  const head = isKnown(first) ? first : await window.glance(start, HEAD_BYTES)
  const isTagged = await beginsWithId3(window)
  const from = isTagged ? ID3_HEADER_BYTES : start
  const reach = isTagged ? MAX_TAG_BYTES : isKnown(head) || isText(head) ? 0 : MAX_JUNK_BYTES
  const at = await searched(window, { start: from, end: Math.min(file.bytes, from + reach) })
  const later = at === undefined ? undefined : await headerAt(file, at, signal)
  if (later !== undefined) return later
  if (isTagged && start >= file.bytes) {
    const ends = start > file.bytes ? 'ends within its ID3 tag' : 'holds nothing but tags'
    throw unreadable(0, `the file ${ends}`, EXPECTED)
  }
  throw unreadable(isKnown(first) ? 0 : start, looksLike(head), EXPECTED, first)
}

const EXPECTED = 'WAV, RF64, AIFF, FLAC, MP3, AAC, M4A or Ogg'
const HEAD_BYTES = 512
const ID3_HEADER_BYTES = 10
/** How far the music is searched behind unknown bytes, and behind a tag whose length is wrong. */
const MAX_JUNK_BYTES = 128 << 10
const MAX_TAG_BYTES = 4 << 20

/** The header that begins at byte `start`; undefined when the format is unknown. */
async function headerAt(
  file: ByteRanges,
  start: number,
  signal: AbortSignal | undefined,
): Promise<Header | undefined> {
  if (start >= file.bytes) return undefined
  if (start === 0) return headerOf(new ByteWindow(file, signal), file, signal)
  const behind: ByteRanges = {
    bytes: file.bytes - start,
    read: (from, to, signal) => file.read(start + from, start + to, signal),
  }
  const header = await headerOf(new ByteWindow(behind, signal), behind, signal)
  return header && moved(header, start)
}

/** The position of the first consecutive frames, or of a FLAC or Ogg stream. */
async function searched(
  window: ByteWindow,
  { start, end }: ByteRange,
): Promise<number | undefined> {
  for (let at = start; at < end; at += SEARCH_BYTES) {
    const bytes = Buffer.from(await window.glance(at, SEARCH_BYTES + CHAIN_BYTES))
    const to = Math.min(SEARCH_BYTES, end - at)
    const isEnd = at + bytes.length === window.bytes
    const places = [FLAC_MARKER, OGG_MARKER].map((marker) => bytes.indexOf(marker))
    places.push(findFrames(bytes, { from: 0, to, isEnd })?.at ?? -1)
    const found = places.filter((place) => place >= 0 && place < to)
    if (found.length > 0) return at + Math.min(...found)
  }
  return undefined
}

const SEARCH_BYTES = 128 << 10
/** The beginnings of a FLAC stream with its mandatory first block, and of an Ogg page that begins a stream. */
const FLAC_MARKER = Buffer.from('fLaC\0\0\0\x22', 'latin1')
const OGG_MARKER = Buffer.from('OggS\0\x02', 'latin1')

async function headerOf(
  window: ByteWindow,
  file: ByteRanges,
  signal: AbortSignal | undefined,
): Promise<Header | undefined> {
  const head = await window.glance(0, HEAD_BYTES)
  if (head.length >= 12) {
    const view = new DataView(head.buffer, head.byteOffset, head.length)
    const [id, form] = [fourCc(view), fourCc(view, 8)]
    if (id === 'RIFF' || id === 'RIFX' || id === 'RF64' || id === 'BW64') {
      if (form === 'WAVE') return wavLayout(window, id)
      throw unreadable(8, `a RIFF file of the form "${form}"`, 'the form "WAVE"')
    }
    if (id === 'FORM') {
      if (form === 'AIFF' || form === 'AIFC') return aiffLayout(window, form)
      throw unreadable(8, `an IFF file of the form "${form}"`, 'the form "AIFF" or "AIFC"')
    }
    return (
      (await flacLayout(window)) ??
      (await oggStream(window)) ??
      (await mp4File(window, file, signal)) ??
      (await mpegStream(window, { start: 0, end: window.bytes }))
    )
  }
  return undefined
}

/** Shifts the positions of a header that lies behind a tag to positions in the whole file. */
function moved(header: Header, by: number): Header {
  if (header.kind === 'pcm') return { ...header, offset: header.offset + by }
  if (header.kind === 'flac') {
    return { ...header, offset: header.offset + by, end: header.end + by }
  }
  const feed = header.feed.map((piece) =>
    piece instanceof Uint8Array ? piece : { start: piece.start + by, end: piece.end + by },
  )
  const { fragments } = header
  if (fragments === undefined) return { ...header, feed }
  return { ...header, feed, fragments: { ...fragments, start: fragments.start + by } }
}
