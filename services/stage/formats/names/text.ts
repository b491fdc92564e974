import type { TrackNames } from '#shared/contracts/file-names.ts'
import { UNPRINTABLE } from '#shared/contracts/file-names.ts'
import { utf8 } from '#shared/contracts/text.ts'
import { TRACK_NAME } from '#shared/contracts/track-name.ts'

/** Names as they are in a file, unchecked. */
export interface RawNames {
  readonly title?: string | undefined
  readonly artist?: string | undefined
}

/** Maximum size of a text that is read, bytes. A title of 500 characters has 2,000 bytes at most. */
export const MAX_TEXT_BYTES = 8192

/** Reduces names to what a track may be called: printable, on one line, not too long, not empty. */
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

/**
 * Decodes the text of a tag that declares UTF-8. Undefined when it is not UTF-8, because its encoding is then
 * unknown.
 */
export function strictText(bytes: Uint8Array): string | undefined {
  try {
    return utf8(bytes)
  } catch {
    return undefined
  }
}

/** Decodes the text of a tag that does not declare its encoding: UTF-8 if it is valid, else Windows-1252. */
export function looseText(bytes: Uint8Array): string {
  const text = strictText(bytes) ?? windows.decode(bytes)
  return text.split('\0')[0] ?? ''
}

const windows = new TextDecoder('windows-1252')
