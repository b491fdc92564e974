import { unreadable } from '../byte-window.ts'

/** A box of an MP4 file: ISO/IEC 14496-12, 4.2. */
export interface Box {
  readonly type: string
  readonly start: number
  /** Position of its contents, bytes. */
  readonly body: number
  readonly end: number
}

export const MAX_BOXES = 1000

/** The box at `at`. A size of 0 means that it extends to `end`. */
export function boxAt(bytes: Buffer, at: number, end: number): Box {
  const size = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8).replace(/[^ -~]/g, '?')
  if (size === 1 && at + 16 <= bytes.length) {
    return { type, start: at, body: at + 16, end: at + Number(bytes.readBigUInt64BE(at + 8)) }
  }
  return { type, start: at, body: at + 8, end: size === 0 ? end : at + size }
}

/**
 * The boxes within a box, up to the first invalid one.
 * @throws PermanentError MASTER_UNREADABLE when there are too many
 */
export function* inside(bytes: Buffer, { body, end }: Box): Generator<Box> {
  for (let at = body, n = 0; at + 8 <= end; n++) {
    const box = boxAt(bytes, at, end)
    if (box.end < box.body || box.end > end) return
    // Millions of empty boxes would fill the memory.
    if (n === MAX_BOXES) throw unreadable(at, 'an index of boxes without end', `${n} at most`)
    yield box
    at = box.end
  }
}

/** The boxes at the end of a path such as `trak/mdia`. */
export function find(bytes: Buffer, box: Box, path: string): Box[] {
  const [type, ...rest] = path.split('/')
  const found = [...inside(bytes, box)].filter((child) => child.type === type)
  return rest.length === 0
    ? found
    : found.flatMap((child) => find(bytes, child, rest.join('/')))
}

/** Turns a box into one that every reader skips. */
export function blank(bytes: Buffer, { start }: Box): void {
  bytes.write('free', start + 4, 'latin1')
}

/** Reads a number of 32 bits, or of 64 in a box of version 1. */
export function word(bytes: Buffer, at: number, isLong: boolean): number {
  return isLong ? Number(bytes.readBigUInt64BE(at)) : bytes.readUInt32BE(at)
}
