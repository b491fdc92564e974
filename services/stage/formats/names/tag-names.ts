import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { TrackNames } from '#shared/contracts/file-names.ts'
import { type ByteRanges, ByteWindow } from '../byte-window.ts'
import { aiffNames, riffNames } from './chunk-names.ts'
import { flacNames, oggNames } from './comment-names.ts'
import { id3Names, id3v1Names, id3v2End } from './id3-names.ts'
import { mp4Names } from './mp4-names.ts'
import { cleanNames, type RawNames } from './text.ts'

/**
 * The title and the artist in a master's own tags: ID3, Vorbis comments, MP4 items, texts of RIFF and AIFF. The
 * file is not trusted: what cannot be read is left out without an error. Little is read (frames, chunks and
 * boxes are skipped by their sizes), every loop is bounded, and the results are printable and at most 500
 * characters long.
 * @throws whatever reading the store throws
 */
export async function tagNames(file: ByteRanges, signal: AbortSignal): Promise<TrackNames> {
  try {
    return cleanNames(await found(file, signal))
  } catch (error) {
    if (error instanceof PermanentError || error instanceof RangeError) return {}
    throw error
  }
}

async function found(file: ByteRanges, signal: AbortSignal): Promise<RawNames> {
  const window = new ByteWindow(file, signal)
  const start = await id3v2End(window)
  const tagged = start > 0 ? await id3Names(window, 0) : {}
  if (tagged.title !== undefined && tagged.artist !== undefined) return tagged
  const kind = Buffer.from(await window.glance(start, 12)).toString('latin1')
  return { ...(await namesBehind(window, start, kind)), ...tagged }
}

function namesBehind(window: ByteWindow, start: number, kind: string): Promise<RawNames> {
  if (/^(RIFF|RF64|BW64).{4}WAVE/s.test(kind)) return riffNames(window, start)
  if (/^FORM.{4}AIF[FC]/s.test(kind)) return aiffNames(window, start)
  if (kind.startsWith('fLaC')) return flacNames(window, start)
  if (kind.startsWith('OggS')) return oggNames(window, start)
  if (kind.startsWith('ftyp', 4)) return mp4Names(window, start)
  return id3v1Names(window)
}
