import { setTimeout as sleep } from 'node:timers/promises'
import { Refused } from '../client/client.ts'

const EVERY_MS = 200
const TOO_MANY_REQUESTS = 429

/**
 * Retries until it succeeds: in a drill any server may be down for a while.
 * @throws a refusal of the API that is final; the reason of the signal when it is aborted.
 */
export async function persist<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    try {
      signal.throwIfAborted()
      return await act()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error instanceof Refused && !isPassing(error)) throw error
      await sleep(EVERY_MS, undefined, { signal })
    }
  }
}

function isPassing({ status }: Refused): boolean {
  return status >= 500 || status === TOO_MANY_REQUESTS
}
