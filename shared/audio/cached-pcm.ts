import { BLOCK_SAMPLES, BlockPool } from './blocks.ts'
import type { PcmSource } from './pcm.ts'
import { sourceOf } from './ranged.ts'

/** The number of blocks that one source keeps: 96 MiB, enough for the two cells of a part of AAC and their lead-in. */
export const BLOCKS_AT_MOST = 24

/** A source with a cache, which has to be released. */
interface CachedPcm extends PcmSource {
  /** Gives the memory of the cache back to the pool. Must not be called before all of its readers are done. */
  release(): void
}

interface Block {
  readonly pcm: Int16Array<ArrayBuffer>
  readonly filled: Promise<Int16Array>
  isFilled: boolean
}

/**
 * A source that caches what it has read, so that the assets of one step fetch their samples once. The samples that it
 * returns may be a view of the cache.
 *
 * All readers go from the start of a range to its end. So when the cache is full, the block that was requested last is
 * evicted: keeping the first blocks serves the next reader, while keeping the last ones would serve none.
 */
export function cachedPcm(
  source: PcmSource,
  { pool = new BlockPool(0), blocksAtMost = BLOCKS_AT_MOST } = {},
): CachedPcm {
  const blocks = new Map<number, Block>()

  const fetchBlock = (index: number, signal?: AbortSignal): Promise<Int16Array> => {
    const start = index * BLOCK_SAMPLES
    const end = Math.min(source.samples, start + BLOCK_SAMPLES)
    const pcm = pool.take()
    const filled = source.read(start, end, signal, pcm.subarray(0, 2 * (end - start)))
    const fetched: Block = { pcm, filled, isFilled: false }
    if (blocks.size >= blocksAtMost) {
      // Not given back to the pool, because its readers may still be using it.
      const latest = [...blocks.keys()].at(-1)
      if (latest !== undefined) blocks.delete(latest)
    }
    blocks.set(index, fetched)
    filled.then(
      () => {
        fetched.isFilled = true
      },
      () => blocks.get(index) === fetched && blocks.delete(index),
    )
    return filled
  }

  const block = async (index: number, signal?: AbortSignal): Promise<Int16Array> => {
    const known = blocks.get(index)
    if (!known) return fetchBlock(index, signal)
    try {
      return await known.filled
    } catch {
      // The fetch was another reader's, whose signal may have been the reason.
      signal?.throwIfAborted()
      return fetchBlock(index, signal)
    }
  }

  const cached = sourceOf(source.samples, async (start, end, signal, into) => {
    const first = Math.floor(start / BLOCK_SAMPLES)
    if (into === undefined && end <= (first + 1) * BLOCK_SAMPLES) {
      const from = first * BLOCK_SAMPLES
      return (await block(first, signal)).subarray(2 * (start - from), 2 * (end - from))
    }
    const joined = into ?? new Int16Array(2 * (end - start))
    for (let at = start; at < end; ) {
      const index = Math.floor(at / BLOCK_SAMPLES)
      const to = Math.min(end, (index + 1) * BLOCK_SAMPLES)
      const held = await block(index, signal)
      const from = index * BLOCK_SAMPLES
      joined.set(held.subarray(2 * (at - from), 2 * (to - from)), 2 * (at - start))
      at = to
    }
    return joined
  })
  return {
    ...cached,
    release() {
      // A block that is still being filled cannot be reused.
      for (const { pcm, isFilled } of blocks.values()) if (isFilled) pool.give(pcm)
      blocks.clear()
    },
  }
}
