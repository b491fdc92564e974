import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * What this process holds once everything has come to rest, bytes: objects, and buffers outside of the heap. Not its
 * resident size: what the collector has got of the system it gives back when it likes.
 */
export async function heldMemory(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 10; look++) {
    gc()
    await sleep(50)
    const { heapUsed, external } = process.memoryUsage()
    least = Math.min(least, heapUsed + external)
  }
  return least
}
