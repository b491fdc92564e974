/** Who is counted at most; beyond that those that were heard of longest ago are forgotten. */
const MAX_KNOWN = 50_000
const MINUTE_MS = 60_000

/** How many requests each may make. */
interface Rate {
  /** Counts a request. @returns seconds until the next would be taken; 0 when this one is. */
  take(who: string): number
}

interface Bucket {
  left: number
  at: number
}

/** A bucket for each: `perMinute` requests at once, and as many again in each minute, evenly. 0: no limit. */
export function createRate(perMinute: number, now = () => performance.now()): Rate {
  const buckets = new Map<string, Bucket>()
  return {
    take(who) {
      if (perMinute === 0) return 0
      const at = now()
      const before = buckets.get(who) ?? { left: perMinute, at }
      const left = Math.min(perMinute, before.left + ((at - before.at) * perMinute) / MINUTE_MS)
      const isTaken = left >= 1
      // The latest at the end, so that the first is the one to forget.
      buckets.delete(who)
      buckets.set(who, { left: isTaken ? left - 1 : left, at })
      if (buckets.size > MAX_KNOWN) {
        const [oldest] = buckets.keys()
        buckets.delete(oldest as string)
      }
      return isTaken ? 0 : Math.max(1, Math.ceil(((1 - left) * MINUTE_MS) / perMinute / 1000))
    },
  }
}
