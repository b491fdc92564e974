import type { PcmSource } from './pcm.ts'
import { sourceOf } from './ranged.ts'

/** 4 MiB. */
const BLOCK_SAMPLES = 1 << 20

/**
 * A source that remembers what it has read, so that the assets of one step fetch their samples once.
 * What it gives may be a view of what it keeps: not to be written to, nor transferred.
 *
 * All readers go from the start of a range to its end, so when the memory is full the block that
 * was asked for last gives way: keeping the first ones serves the next reader, keeping the last
 * ones would serve nobody.
 * @param maxBytes held at most, beside what is being read; 64 MiB unless told.
 */
export function cachedPcm(pcm: PcmSource, maxBytes = 64 << 20): PcmSource {
  const maxBlocks = Math.max(1, Math.floor(maxBytes / (BLOCK_SAMPLES * 4)))
  const blocks = new Map<number, Promise<Int16Array>>()

  const fetchBlock = (index: number, signal?: AbortSignal): Promise<Int16Array> => {
    const start = index * BLOCK_SAMPLES
    const fetched = pcm.read(start, Math.min(pcm.samples, start + BLOCK_SAMPLES), signal)
    if (blocks.size >= maxBlocks) {
      const latest = [...blocks.keys()].at(-1)
      if (latest !== undefined) blocks.delete(latest)
    }
    blocks.set(index, fetched)
    fetched.catch(() => blocks.get(index) === fetched && blocks.delete(index))
    return fetched
  }

  const block = async (index: number, signal?: AbortSignal): Promise<Int16Array> => {
    const known = blocks.get(index)
    if (!known) return fetchBlock(index, signal)
    try {
      return await known
    } catch {
      // Another reader's fetch; its signal may have been the reason.
      signal?.throwIfAborted()
      return fetchBlock(index, signal)
    }
  }

  return sourceOf(pcm.samples, async (start, end, signal) => {
    const within = Math.floor(start / BLOCK_SAMPLES)
    if (end <= (within + 1) * BLOCK_SAMPLES) {
      const held = await block(within, signal)
      const from = within * BLOCK_SAMPLES
      return held.subarray(2 * (start - from), 2 * (end - from))
    }
    const joined = new Int16Array(2 * (end - start))
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
}
