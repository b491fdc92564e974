import type { ByteWindow } from './byte-window.ts'
import type { ByteRange } from './layout.ts'
import { masterAt } from './looks-like.ts'

/**
 * Signatures in the first bytes of a master, with their offsets. With the check by `masterAt`, eight or more
 * bytes have to match, which does not happen by accident.
 */
const MARKS = [
  ...(['WAVE', 'AIFF', 'AIFC'] as const).map((mark) => [Buffer.from(mark), 8] as const),
  [Buffer.from('fLaC\0\0\0\x22', 'latin1'), 0],
  [Buffer.from('OggS\0\x02\0\0\0\0\0\0\0\0', 'latin1'), 0],
] as const
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
    const bytes = Buffer.from(await window.again().glance(from, length))
    const places = MARKS.flatMap(([mark, before]) => placesOf(bytes, mark, before))
    const [at] = places.sort((a, b) => a - b)
    const name = at === undefined ? undefined : masterAt(bytes, at)
    if (at !== undefined && name !== undefined) return { name, at: from + at }
  }
  return undefined
}

function placesOf(bytes: Buffer, mark: Buffer, before: number): number[] {
  for (let at = bytes.indexOf(mark); at >= 0; at = bytes.indexOf(mark, at + mark.length)) {
    if (at >= before && masterAt(bytes, at - before) !== undefined) return [at - before]
  }
  return []
}
