import type { PcmSource } from './pcm.ts'

/** Reads the samples [start, end), as `PcmSource.read` does. */
export type ReadSamples = PcmSource['read']

/** A source from a function that reads ranges. It checks ranges and lengths. */
export function sourceOf(samples: number, readSamples: ReadSamples): PcmSource {
  const read: ReadSamples = async (start, end, signal, into) => {
    if (
      !(
        Number.isInteger(start) &&
        Number.isInteger(end) &&
        start >= 0 &&
        end <= samples &&
        start <= end
      )
    ) {
      throw new RangeError(`samples ${start} to ${end} of a track of ${samples}`)
    }
    signal?.throwIfAborted()
    if (start === end) return new Int16Array(0)
    if (into !== undefined && into.length !== 2 * (end - start)) {
      throw new RangeError(`${into.length} numbers of room for ${end - start} samples`)
    }
    const pcm = await readSamples(start, end, signal, into)
    if (pcm.length !== 2 * (end - start)) {
      throw new Error(`read ${pcm.length / 2} samples at ${start}, not ${end - start}`)
    }
    return pcm
  }
  return {
    samples,
    read,
    async *chunks(start, end, { size = PIECE_SAMPLES, signal } = {}) {
      // Each range of a store costs a round trip: fetch more than is handed out, and the next range meanwhile.
      const ahead = Math.max(size, AHEAD_SAMPLES - (AHEAD_SAMPLES % size))
      // If the pieces allow it, one fetch is one block of `cachedPcm`, which then need not copy it.
      const isAligned = ahead === AHEAD_SAMPLES && start % size === 0
      const endOf = (from: number) =>
        Math.min(end, from + ahead - (isAligned ? from % ahead : 0))
      const fetch = (from: number) => {
        const fetched = read(from, endOf(from), signal)
        // The error reaches the reader that awaits this. There may be none.
        fetched.catch(() => {})
        return fetched
      }
      let next = start < end ? fetch(start) : undefined
      for (let from = start; next !== undefined; from = endOf(from)) {
        const block = await next
        const to = endOf(from)
        next = to < end ? fetch(to) : undefined
        for (let at = 0; at < block.length; at += 2 * size) {
          yield block.subarray(at, at + 2 * size)
        }
      }
    },
  }
}

/** The number of samples in one fetch: 4 MiB, the size of a block of `cachedPcm`. */
const AHEAD_SAMPLES = 1 << 20
/** The default size of a piece, 1.5 s. It divides the size of a block, so that a piece is a view of one block. */
const PIECE_SAMPLES = 1 << 16
