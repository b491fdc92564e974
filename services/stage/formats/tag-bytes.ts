/**
 * Lengths of tags, from their own first or last bytes. Sources: id3.org, ID3 tag version 2.4.0, section 3, and
 * Lyrics3; the APEv2 specification of the Hydrogenaudio wiki; for the enhanced tag (TAG+) the description in
 * mpg123.
 */
export const ID3V1_BYTES = 128
export const ID3_BYTES = 10
export const APE_BYTES = 32

/** Length of the ID3v2 tag that begins at `at`, bytes; undefined when there is none. */
export function id3Bytes(held: Buffer, at = 0): number | undefined {
  if (held.length < at + ID3_BYTES || held.toString('latin1', at, at + 3) !== 'ID3') {
    return undefined
  }
  const size = held
    .subarray(at + 6, at + ID3_BYTES)
    .reduce((sum, byte) => sum * 128 + (byte & 0x7f), 0)
  const hasFooter = ((held[at + 5] ?? 0) & 0x10) !== 0
  return ID3_BYTES + size + (hasFooter ? ID3_BYTES : 0)
}

/** Length of the APE tag whose header begins at `at`, bytes; undefined when there is none. */
export function apeBytes(held: Buffer, at = 0): number | undefined {
  if (held.length < at + APE_BYTES || held.toString('latin1', at, at + 8) !== 'APETAGEX') {
    return undefined
  }
  return APE_BYTES + held.readUInt32LE(at + 12)
}

/** Length of the tag of any kind that begins at `at`, bytes; undefined when there is none. */
export function tagBytes(held: Buffer, at: number): number | undefined {
  const ape = apeBytes(held, at)
  if (ape !== undefined) {
    const isHeader = (held.readUInt32LE(at + 20) & 0x2000_0000) !== 0
    return isHeader ? ape : APE_BYTES
  }
  const text = held.toString('latin1', at, at + 11)
  if (text.startsWith('TAG+')) return 227
  if (text.startsWith('TAG')) return ID3V1_BYTES
  if (text.startsWith('3DI')) return ID3_BYTES
  // It extends to the end of the file, except for another tag there.
  if (text === 'LYRICSBEGIN') return Number.MAX_SAFE_INTEGER
  return id3Bytes(held, at)
}

/** Length of the tag (ID3v1, APEv2, Lyrics3v2) at the end of these bytes, bytes; undefined when there is none. */
export function tagBytesBefore(tail: Buffer): number | undefined {
  const text = tail.toString('latin1')
  if (tail.length >= ID3V1_BYTES && text.startsWith('TAG', tail.length - ID3V1_BYTES)) {
    return ID3V1_BYTES
  }
  const footer = tail.length - APE_BYTES
  if (footer >= 0 && text.startsWith('APETAGEX', footer)) {
    const hasHeader = tail.readUInt32LE(footer + 20) >= 0x8000_0000
    return tail.readUInt32LE(footer + 12) + (hasHeader ? APE_BYTES : 0)
  }
  const [, lyrics] = /(\d{6})LYRICS200$/.exec(text) ?? []
  return lyrics === undefined ? undefined : Number(lyrics) + 15
}
