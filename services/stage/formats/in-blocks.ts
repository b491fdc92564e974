import type { MasterBytes } from './byte-window.ts'

/** Reads begin and end at multiples of this, bytes: a request takes as long for 64 KiB as for one. */
const BLOCK_BYTES = 64 << 10
/** A master of up to this size is read at once behind its first block, bytes. */
const WHOLE_BYTES = 512 << 10
/** The number of readings that are held: more than the places of a FLAC at which its frames are looked at. */
const HELD = 12

interface Reading {
  readonly start: number
  readonly bytes: Uint8Array
}

/**
 * The same master, read by few and larger requests: what a survey and the search for tags look at lies close together,
 * and often in the same place. Streams are not held. What is read must not be changed, since it may be given out again.
 */
export function inBlocks(file: MasterBytes): MasterBytes {
  let held: readonly Reading[] = []
  return {
    bytes: file.bytes,
    async read(start, end, signal) {
      const known = held.find((each) => each.start <= start && endOf(each) >= end)
      const reading = known ?? (await readingOf(start, end, signal))
      // The one that was used last comes first.
      held = [reading, ...held.filter((each) => each !== reading)].slice(0, HELD)
      return reading.bytes.subarray(start - reading.start, end - reading.start)
    },
    stream: (start, end, signal) => file.stream(start, end, signal),
  }

  async function readingOf(start: number, end: number, signal?: AbortSignal): Promise<Reading> {
    const isWhole = end > BLOCK_BYTES && file.bytes <= WHOLE_BYTES
    const from = isWhole ? 0 : start - (start % BLOCK_BYTES)
    const to = isWhole ? file.bytes : Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
    return { start: from, bytes: await file.read(from, Math.min(file.bytes, to), signal) }
  }
}

function endOf({ start, bytes }: Reading): number {
  return start + bytes.length
}
