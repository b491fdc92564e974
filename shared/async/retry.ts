import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Exponential back-off: a wait that doubles each time from `firstMs` (default: 500 ms) to `mostMs` (default: 5,000 ms),
 * with a jitter of 50 to 100 %, so that many clients do not retry at the same moment.
 */
export function backOff({ firstMs = 500, mostMs = 5_000 } = {}) {
  let ms = firstMs
  return {
    /** Waits for the next interval plus `atLeastMs` (default: 0 ms). @throws when the signal aborts. */
    async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
      const jittered = ms * (0.5 + Math.random() / 2)
      ms = Math.min(mostMs, 2 * ms)
      await sleep(atLeastMs + jittered, undefined, { signal })
    },
    /** Starts over with `firstMs`, after a success. */
    reset(): void {
      ms = firstMs
    },
  }
}
