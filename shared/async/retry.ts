import { setTimeout as sleep } from 'node:timers/promises'

/** How long the waits between attempts are. */
interface Waits {
  /** The first wait, ms. Default: 500. Each wait is twice as long as the one before. */
  readonly firstMs?: number
  /** The longest wait, ms. Default: 5,000. */
  readonly mostMs?: number
  /** The share of a wait that is random, so that many clients do not retry at the same moment. Default: 0.5. */
  readonly jitter?: number
  /** Whether a wait keeps the process alive. Default: true. */
  readonly ref?: boolean
}

interface RetryOptions extends Waits {
  /** Ends the retries. */
  readonly signal?: AbortSignal | undefined
  /** Whether an error may pass. Default: any may. */
  readonly isPassing?: (error: unknown) => boolean
  /** After this time an error is final, ms. Default: no limit. */
  readonly withinMs?: number
  /** Called before each wait. Returns how much longer than usual it is, ms, if the error says so. */
  readonly onRetry?: (error: unknown) => number | undefined
}

/**
 * Calls `act` until it succeeds.
 * @throws an error that may not pass, or the last one after `withinMs`; the reason of the signal
 */
export async function retry<T>(act: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { signal, isPassing = () => true, withinMs = Number.POSITIVE_INFINITY } = options
  const pause = backOff(options)
  const until = performance.now() + withinMs
  for (;;) {
    signal?.throwIfAborted()
    try {
      return await act()
    } catch (error) {
      signal?.throwIfAborted()
      if (!isPassing(error) || performance.now() > until) throw error
      await pause.wait(signal, options.onRetry?.(error))
    }
  }
}

/** Waits that double each time, for loops that are more than a retry. */
export function backOff(waits: Waits = {}) {
  const { ref = true } = waits
  let attempt = 0
  const next = () => backOffMs(++attempt, waits)
  return {
    /** The length of the next wait, ms. */
    next,
    /** Waits for that long and `moreMs` (default: 0 ms). @throws the reason of the signal when it aborts */
    async wait(signal?: AbortSignal, moreMs = 0): Promise<void> {
      try {
        await sleep(moreMs + next(), undefined, { ref, ...(signal && { signal }) })
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      }
    },
    /** Starts over with `firstMs`, after a success. */
    reset(): void {
      attempt = 0
    },
  }
}

/** The wait after the attempt of this number, which counts from 1, ms. */
export function backOffMs(
  attempt: number,
  { firstMs = 500, mostMs = 5_000, jitter = 0.5 }: Waits = {},
): number {
  const ms = Math.min(mostMs, firstMs * 2 ** (attempt - 1))
  return ms * (1 - jitter + jitter * Math.random())
}
