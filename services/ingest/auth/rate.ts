/** Maximum number of clients that are tracked. Beyond that, the least recently seen client is forgotten. */
const MAX_KNOWN = 50_000
const MINUTE_MS = 60_000

/** A rate limit for each client. */
interface Rate {
  /**
   * Counts a request of the client.
   * @returns 0 when the request may pass; otherwise the seconds until the next one may
   */
  take(who: string): number
}

interface Bucket {
  left: number
  at: number
}

/**
 * Creates a token bucket for each client: `perMinute` requests at once, refilled evenly within a minute. 0: no
 * limit.
 */
export function createRate(perMinute: number, now = () => performance.now()): Rate {
  const buckets = new Map<string, Bucket>()
  return {
    take(who) {
      if (perMinute === 0) return 0
      const at = now()
      const before = buckets.get(who) ?? { left: perMinute, at }
      const left = Math.min(perMinute, before.left + ((at - before.at) * perMinute) / MINUTE_MS)
      const isTaken = left >= 1
      // Reinserted at the end, so that the first entry is the least recently seen.
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
