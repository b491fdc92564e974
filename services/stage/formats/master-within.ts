import type { ByteWindow } from './byte-window.ts'
import type { ByteRange } from './layout.ts'
import { masterAt } from './looks-like.ts'

/**
 * Signatures in the first bytes of a master, with their offsets and what follows them. With the check by `masterAt`,
 * eight or more bytes have to match, which does not happen by accident. Four bytes are searched 40 times as fast as
 * eight or more, for which Node has another algorithm.
 */
const MARKS = [
  ...(['WAVE', 'AIFF', 'AIFC'] as const).map((mark) => ({ mark, at: 8, behind: '' })),
  { mark: 'fLaC', at: 0, behind: '\0\0\0\x22' },
  { mark: 'OggS', at: 0, behind: '\0\x02\0\0\0\0\0\0\0\0' },
].map(({ mark, at, behind }) => ({
  mark: Buffer.from(mark, 'latin1'),
  at,
  whole: Buffer.from(mark + behind, 'latin1'),
}))
/** Number of bytes by which reads overlap: enough for the longest signature and what follows it. */
const OVERLAP_BYTES = 16
const LOOK_BYTES = 1 << 20

/**
 * Finds another master that begins within uncompressed samples, which happens when files are concatenated and
 * the first header counts all of them. Samples of more than `most` bytes are not searched.
 */
export async function masterWithin(
  window: ByteWindow,
  { start, end }: ByteRange,
  most: number,
): Promise<{ readonly name: string; readonly at: number } | undefined> {
  if (end - start > most) return undefined
  for (let from = start; from < end; from += LOOK_BYTES) {
    const length = Math.min(LOOK_BYTES + OVERLAP_BYTES, end - from)
    const { buffer, byteOffset, byteLength } = await window.again().glance(from, length)
    const bytes = Buffer.from(buffer, byteOffset, byteLength)
    const places = MARKS.flatMap((mark) => placesOf(bytes, mark))
    const [at] = places.sort((a, b) => a - b)
    const name = at === undefined ? undefined : masterAt(bytes, at)
    if (at !== undefined && name !== undefined) return { name, at: from + at }
  }
  return undefined
}

function placesOf(
  bytes: Buffer,
  { mark, at: before, whole }: (typeof MARKS)[number],
): number[] {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) {
    if (at < before || !bytes.subarray(at, at + whole.length).equals(whole)) continue
    if (masterAt(bytes, at - before) !== undefined) return [at - before]
  }
  return []
}
