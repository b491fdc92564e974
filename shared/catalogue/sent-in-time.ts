import { orAbort } from '../async/abort.ts'

/** How long a transaction waits for Pub/Sub, ms: the database ends one that is idle for 10 s. */
const SEND_MS = 5000

/**
 * Waits until all is sent that a transaction hands on before it commits.
 * @throws when something could not be sent, it took longer than 5 s, or the signal is aborted
 */
export async function sentInTime(
  sending: readonly Promise<unknown>[],
  signal: AbortSignal,
  sendMs = SEND_MS,
): Promise<void> {
  await orAbort(Promise.all(sending), AbortSignal.any([signal, AbortSignal.timeout(sendMs)]))
}
