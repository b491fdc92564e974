import type { PcmSource } from './pcm.ts'

/** Reads the samples [start, end), as `PcmSource.read`. */
export type ReadSamples = PcmSource['read']

/** A source of anything that can be read by range. Checks ranges and lengths. */
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
      // One range of a store costs a round trip: fetch more at once than is handed out, and the next meanwhile.
      const ahead = Math.max(size, AHEAD_SAMPLES - (AHEAD_SAMPLES % size))
      // Where pieces allow it, what is fetched at once is one block of `cachedPcm`, which need not copy it then.
      const isAligned = ahead === AHEAD_SAMPLES && start % size === 0
      const endOf = (from: number) =>
        Math.min(end, from + ahead - (isAligned ? from % ahead : 0))
      const fetch = (from: number) => {
        const fetched = read(from, endOf(from), signal)
        // Told to whoever waits for it; nobody may.
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

/** 4 MiB; as much as `cachedPcm` keeps in a block. */
const AHEAD_SAMPLES = 1 << 20
/** A divisor of that, so that a piece is a view of one block: a second and a half. */
const PIECE_SAMPLES = 1 << 16
