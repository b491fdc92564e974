import { type Warning, warning } from '#shared/contracts/warnings.ts'
import type { ByteWindow } from './byte-window.ts'
import { isBlank, isBoxAt } from './gap.ts'
import { startsChunk } from './iff/chunks.ts'
import type { SoundSize } from './iff/sound.ts'
import { masterAt } from './looks-like.ts'
import { CHAIN_BYTES, findFrames, nameOf } from './mpeg/frames.ts'
import { tagBytes } from './tag-bytes.ts'

/** Maximum number of tags and of runs of zeros and blanks that are skipped. */
const MAX_PASSED = 20
const BLANKS_AT_ONCE = 64 << 10

/**
 * The master that begins at byte `from` of a file, or behind tags, zeros and blanks there. Reads a few
 * kilobytes, two megabytes at most.
 */
export async function masterBehind(
  window: ByteWindow,
  from: number,
): Promise<{ readonly name: string; readonly at: number } | undefined> {
  const fresh = window.again()
  let at = from
  for (let n = 0; n < MAX_PASSED && at + 4 <= fresh.bytes; n++) {
    const head = Buffer.from(await fresh.glance(at, BLANKS_AT_ONCE))
    const tag = tagBytes(head, 0)
    if (tag !== undefined) {
      at += tag
      continue
    }
    let blanks = 0
    while (blanks < head.length && isBlank(head[blanks]) && !isBoxAt(head, blanks)) blanks++
    at += blanks
    if (blanks > 0) continue
    const name = masterAt(head, 0) ?? framesAt(head, at + head.length === fresh.bytes)
    return name === undefined ? undefined : { name, at }
  }
  return undefined
}

/** What begins with MPEG audio or ADTS: several frames, one behind the other. */
export function framesAt(head: Buffer, isEnd: boolean): string | undefined {
  const found = findFrames(head.subarray(0, CHAIN_BYTES), { from: 0, to: 1, isEnd })
  return found && nameOf(found.frame)
}

/** A warning MORE_FOLLOWS if another master begins behind the end of `what` (for example `the WAV`). */
export async function whatFollows(
  what: string,
  window: ByteWindow,
  end: number,
): Promise<readonly Warning[]> {
  const other = await masterBehind(window, end)
  return other === undefined ? [] : [anotherFollows(what, other, window.bytes)]
}

/**
 * A warning MORE_FOLLOWS if another master begins behind the samples of an IFF-like file and the chunks that
 * follow them. Empty if `leftOut` has reported it already.
 */
export async function behindSound(
  container: string,
  window: ByteWindow,
  {
    offset,
    bytes,
    leftOut,
  }: Pick<SoundSize, 'bytes' | 'leftOut'> & { readonly offset: number },
  littleEndian: boolean,
): Promise<readonly Warning[]> {
  if (leftOut !== undefined) return []
  const fresh = window.again()
  let at = offset + bytes
  for (let n = 0; n < MAX_CHUNKS && at + 8 <= fresh.bytes; n++) {
    if (!(await isChunkAt(fresh, at, littleEndian))) {
      // Chunks usually begin at even bytes.
      if (at % 2 === 0 || !(await isChunkAt(fresh, at + 1, littleEndian))) break
      at++
    }
    at += 8 + (await fresh.view(at + 4, 4, 'a chunk')).getUint32(0, littleEndian)
  }
  return whatFollows(`the ${container}`, fresh, at)
}

const MAX_CHUNKS = 100

async function isChunkAt(window: ByteWindow, at: number, littleEndian: boolean) {
  if (masterAt(Buffer.from(await window.glance(at, HEAD_BYTES)), 0) !== undefined) return false
  return startsChunk(window, at, littleEndian)
}

const HEAD_BYTES = 16

export function anotherFollows(
  what: string,
  { name, at }: { readonly name: string; readonly at: number },
  end: number,
): Warning {
  const sentence = `behind ${what} another file begins (${name}), and ${end - at} bytes were left out`
  return warning('MORE_FOLLOWS', sentence)
}
