import type { ByteWindow } from './byte-window.ts'
import type { ByteRange } from './layout.ts'
import {
  APE_BYTES,
  apeBytes,
  ID3_BYTES,
  ID3V1_BYTES,
  id3Bytes,
  tagBytesBefore,
} from './tag-bytes.ts'

/** Maximum number of zeros and blanks that are skipped before a master. */
const MAX_BLANK_BYTES = 1 << 20
const BLANKS_AT_ONCE = 16_384
const MAX_TAGS = 100

/**
 * The position behind everything that may precede a master: up to a hundred tags (ID3v2, APEv2), zeros and
 * blanks. It lies beyond the end of the file if a tag says so.
 */
export async function afterTags(window: ByteWindow): Promise<number> {
  let at = 0
  for (let n = 0; n < MAX_TAGS; n++) {
    const head = Buffer.from(await window.glance(at, APE_BYTES))
    const length = id3Bytes(head) ?? apeBytes(head)
    if (length !== undefined) at += length
    else {
      const end = await afterBlanks(window, at)
      const first = await window.glance(end, 8)
      // A file of boxes begins with a size, whose first bytes are zeros.
      const box = Buffer.from(first).indexOf('ftyp')
      if (box >= 0) return Math.max(at, end + box - 4)
      if (end === at) break
      at = end
    }
  }
  return at
}

/** Whether the file begins with an ID3v2 tag, whatever its length. */
export async function beginsWithId3(window: ByteWindow): Promise<boolean> {
  return id3Bytes(Buffer.from(await window.glance(0, ID3_BYTES))) !== undefined
}

async function afterBlanks(window: ByteWindow, from: number): Promise<number> {
  for (let at = from; at < from + MAX_BLANK_BYTES; at += BLANKS_AT_ONCE) {
    const bytes = await window.glance(at, BLANKS_AT_ONCE)
    const other = bytes.findIndex((byte) => byte !== 0 && byte !== 0x20)
    if (other >= 0) return at + other
    if (bytes.length < BLANKS_AT_ONCE) return at + bytes.length
  }
  return from
}

/** The end of a range without the tags at its end: ID3v1, APEv2 and Lyrics3v2, in any order. */
export async function beforeTags(
  window: ByteWindow,
  { start, end }: ByteRange,
): Promise<number> {
  let at = end
  for (let n = 0; n < MAX_TAGS && at > start; n++) {
    const length = await tagBefore(window, at)
    if (length === undefined || length > at - start) break
    at -= length
  }
  return at
}

async function tagBefore(window: ByteWindow, end: number): Promise<number | undefined> {
  const last = Buffer.from(await window.glance(Math.max(0, end - ID3V1_BYTES), ID3V1_BYTES))
  return last.length < ID3V1_BYTES ? undefined : tagBytesBefore(last)
}
