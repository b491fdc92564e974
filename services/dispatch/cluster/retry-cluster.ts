import { retry } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { ClusterError } from './cluster.ts'

/**
 * Calls the API until it answers. An API server that is away, overloaded, out of quota or that refuses access
 * is never the fault of the track at hand.
 * @throws the signal's reason; ClusterError 409, which says that the work has been done already
 */
export function retryCluster<T>(
  act: () => Promise<T>,
  { signal, log }: { signal: AbortSignal; log: Log },
): Promise<T> {
  return retry(act, {
    signal,
    isPassing: (error) => error instanceof ClusterError && error.status !== 409,
    onRetry(error) {
      log.warn({ error: sentence(error) }, 'the cluster does not do it; asking again')
      return (error as ClusterError).retryAfterMs
    },
  })
}
