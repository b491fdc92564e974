import { aiffLayout } from './aiff.ts'
import { type ByteRanges, ByteWindow, fourCc, unreadable } from './byte-window.ts'
import { flacLayout } from './flac.ts'
import type { Layout } from './layout.ts'
import { looksLike } from './looks-like.ts'
import { wavLayout } from './wav.ts'

/**
 * Where and how the samples lie in a master: WAV, RF64, BW64, AIFF, AIFF-C or FLAC, told by
 * content, never by name. Reads a few kilobytes by range, however long the master is.
 *
 * A WAV that was streamed (data size 0 or 0xFFFFFFFF) or cut short holds the samples that are
 * there; odd bytes at the end that make no whole sample are dropped.
 * @throws PermanentError MASTER_UNREADABLE: what was wrong, at which byte, what was expected.
 */
export async function readLayout(file: ByteRanges, signal?: AbortSignal): Promise<Layout> {
  const window = new ByteWindow(file, signal)
  if (file.bytes === 0) throw unreadable(0, 'the master is empty (0 bytes)', EXPECTED)
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
    const flac = await flacLayout(window)
    if (flac) return flac
  }
  throw unreadable(0, looksLike(head), EXPECTED)
}

const EXPECTED = 'WAV, RF64, AIFF or FLAC'
