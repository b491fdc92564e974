import { aiffLayout } from './aiff.ts'
import { type ByteRanges, ByteWindow, fourCc, unreadable } from './byte-window.ts'
import { flacLayout } from './flac.ts'
import { afterId3 } from './id3.ts'
import type { Coded, FlacLayout, PcmLayout } from './layout.ts'
import { looksLike } from './looks-like.ts'
import { mp4File } from './mp4.ts'
import { mpegStream } from './mpeg.ts'
import { oggStream } from './ogg.ts'
import { wavLayout } from './wav.ts'

/** What the header of a master says: where the samples lie, or what there is to decode. */
export type Header = PcmLayout | FlacLayout | Coded

/**
 * The header of a master, told by content, never by name; an ID3v2 tag may come before it. Reads a few kilobytes
 * by range, however long the master is (and the index of an MP4 file). docs/masters.md has every verdict.
 * @throws PermanentError MASTER_UNREADABLE: what was wrong, at which byte, what was expected.
 */
export async function readHeader(file: ByteRanges, signal?: AbortSignal): Promise<Header> {
  if (file.bytes === 0) throw unreadable(0, 'the master is empty (0 bytes)', EXPECTED)
  const window = new ByteWindow(file, signal)
  const start = await afterId3(window)
  if (start === 0) return headerOf(window, file, signal)
  if (start >= file.bytes) throw unreadable(0, 'the file ends within its ID3 tag', EXPECTED)
  const behind: ByteRanges = {
    bytes: file.bytes - start,
    read: (from, to, signal) => file.read(start + from, start + to, signal),
  }
  return moved(await headerOf(new ByteWindow(behind, signal), behind, signal), start)
}

const EXPECTED = 'WAV, RF64, AIFF, FLAC, MP3, AAC, M4A or Ogg'

async function headerOf(
  window: ByteWindow,
  file: ByteRanges,
  signal: AbortSignal | undefined,
): Promise<Header> {
  const head = await window.glance(0, 512)
  if (head.length >= 12) {
    const view = new DataView(head.buffer, head.byteOffset, head.length)
    const [id, form] = [fourCc(view), fourCc(view, 8)]
    if (id === 'RIFF' || id === 'RF64' || id === 'BW64') {
      if (form === 'WAVE') return wavLayout(window, id)
      throw unreadable(8, `a RIFF file of the form "${form}"`, 'the form "WAVE"')
    }
    if (id === 'FORM') {
      if (form === 'AIFF' || form === 'AIFC') return aiffLayout(window, form)
      throw unreadable(8, `an IFF file of the form "${form}"`, 'the form "AIFF" or "AIFC"')
    }
    const found =
      (await flacLayout(window)) ??
      (await oggStream(window)) ??
      (await mp4File(window, file, signal)) ??
      (await mpegStream(window, { start: 0, end: window.bytes }))
    if (found !== undefined) return found
  }
  throw unreadable(0, looksLike(head), EXPECTED)
}

/** What lies behind a tag, as it lies in the whole file. */
function moved(header: Header, by: number): Header {
  if (header.kind !== 'coded') return { ...header, offset: header.offset + by }
  const feed = header.feed.map((piece) =>
    piece instanceof Uint8Array ? piece : { start: piece.start + by, end: piece.end + by },
  )
  return { ...header, feed }
}
