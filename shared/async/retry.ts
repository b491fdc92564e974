import { setTimeout as sleep } from 'node:timers/promises'

/** A wait that is doubled each time and never twice the same, so that many who wait do not come back as one. */
export function backOff({ firstMs = 500, mostMs = 5_000 } = {}) {
  let ms = firstMs
  return {
    /** Waits, `atLeastMs` at least. @throws when the signal aborts. */
    async wait(signal: AbortSignal, atLeastMs = 0): Promise<void> {
      const jittered = ms * (0.5 + Math.random() / 2)
      ms = Math.min(mostMs, 2 * ms)
      await sleep(atLeastMs + jittered, undefined, { signal })
    },
    /** All was well again. */
    reset(): void {
      ms = firstMs
    },
  }
}
