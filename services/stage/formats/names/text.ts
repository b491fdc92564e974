import type { TrackNames } from '#shared/contracts/file-names.ts'
import { UNPRINTABLE } from '#shared/contracts/file-names.ts'
import { utf8 } from '#shared/contracts/text.ts'
import { TRACK_NAME } from '#shared/contracts/track-name.ts'

/** Names as a file has them: anything. */
export interface RawNames {
  readonly title?: string | undefined
  readonly artist?: string | undefined
}

/** Text of a tag that is longer is not read: a title of 500 characters takes 2,000 bytes at most. */
export const MAX_TEXT_BYTES = 8192

/** What of it a track may be called: printable, on one line, not too long, not empty. */
export function cleanNames({ title, artist }: RawNames): TrackNames {
  const [cleanTitle, cleanArtist] = [clean(title), clean(artist)]
  return {
    ...(cleanTitle === '' ? {} : { title: cleanTitle }),
    ...(cleanArtist === '' ? {} : { artist: cleanArtist }),
  }
}

function clean(text = ''): string {
  const words = text
    .slice(0, MAX_TEXT_BYTES)
    .replace(UNPRINTABLE, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return [...words.normalize('NFC')].slice(0, TRACK_NAME.maxLength).join('')
}

/** Text of a tag that says UTF-8; undefined when it is not, for nobody knows then what it is. */
export function strictText(bytes: Uint8Array): string | undefined {
  try {
    return utf8(bytes)
  } catch {
    return undefined
  }
}

/** Text of a tag that does not say what it is in: UTF-8 if it can be, else the eight bits of Western Windows. */
export function looseText(bytes: Uint8Array): string {
  const text = strictText(bytes) ?? windows.decode(bytes)
  return text.split('\0')[0] ?? ''
}

const windows = new TextDecoder('windows-1252')
