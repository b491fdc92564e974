import { retry } from '#shared/async/retry.ts'
import { isPassing, Refused } from '../client/client.ts'

const EVERY_MS = 200

/**
 * Retries until it succeeds: in a drill any server may be down for a while.
 * @throws a refusal of the API that is final; the reason of the signal when it is aborted.
 */
export function retryDisturbed<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return retry(act, {
    signal,
    firstMs: EVERY_MS,
    mostMs: EVERY_MS,
    isPassing: (error) => !(error instanceof Refused) || isPassing(error),
  })
}
