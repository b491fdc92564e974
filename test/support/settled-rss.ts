import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What this process holds in memory once everything has come to rest, bytes. */
export async function settledRss(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const gc: () => void = runInNewContext('gc')
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 10; look++) {
    gc()
    await sleep(50)
    least = Math.min(least, process.memoryUsage().rss)
  }
  return least
}
