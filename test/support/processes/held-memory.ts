import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What this process holds is at rest when as many looks, one after the other, have found no less. */
const LOOKS_AT_REST = 2
const MAX_LOOKS = 10

/**
 * What this process holds once everything has come to rest, bytes: objects, and buffers outside of the heap. Not its
 * resident size: what the collector has got of the system it gives back when it likes.
 */
export async function heldMemory(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  let least = Number.POSITIVE_INFINITY
  for (let look = 0, still = 0; look < MAX_LOOKS && still < LOOKS_AT_REST; look++) {
    gc()
    await sleep(100)
    const { heapUsed, external } = process.memoryUsage()
    const held = heapUsed + external
    still = held < 0.995 * least ? 0 : still + 1
    least = Math.min(least, held)
  }
  return least
}
