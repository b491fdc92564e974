import { BLOCK_SAMPLES, BlockPool } from './blocks.ts'
import type { PcmSource } from './pcm.ts'
import { sourceOf } from './ranged.ts'

/** Blocks that one source keeps: 96 MiB, as much as the two cells of a part of AAC and what comes before them. */
export const BLOCKS_AT_MOST = 24

/** A source that remembers, until it is released. */
interface CachedPcm extends PcmSource {
  /** Gives its memory to whoever comes next. Not before everybody who has read from it is done. */
  release(): void
}

interface Block {
  readonly pcm: Int16Array<ArrayBuffer>
  readonly filled: Promise<Int16Array>
  isFilled: boolean
}

/**
 * A source that remembers what it has read, so that the assets of one step fetch their samples once.
 * What it gives may be a view of what it keeps.
 *
 * All readers go from the start of a range to its end, so when the memory is full the block that
 * was asked for last gives way: keeping the first ones serves the next reader, keeping the last
 * ones would serve nobody.
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
      // Its readers may still be at it: it is theirs, and not the pool's again.
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
      // Another reader's fetch; its signal may have been the reason.
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
      // What is still being filled belongs to nobody any more.
      for (const { pcm, isFilled } of blocks.values()) if (isFilled) pool.give(pcm)
      blocks.clear()
    },
  }
}
