import { setTimeout as sleep } from 'node:timers/promises'
import { sentence } from '../contracts/errors/sentence.ts'
import type { Log } from './telemetry/log.ts'

/** Between two looks for something to do, ms. */
const EVERY_MS = 1000
/** After a fault, ms. */
const AFTER_FAULT_MS = 5000

/**
 * Looks for something to do, again and again, until the process stops. A fault is logged, as what could not be done.
 * @param act resolves to whether there may be more to do at once
 */
export async function repeat(
  fault: string,
  { stopping, log }: { readonly stopping: AbortSignal; readonly log: Log },
  act: () => Promise<boolean>,
): Promise<void> {
  while (!stopping.aborted) {
    let pauseMs = EVERY_MS
    try {
      if (await act()) pauseMs = 0
    } catch (error) {
      if (stopping.aborted) return
      log.warn({ error: sentence(error) }, fault)
      pauseMs = AFTER_FAULT_MS
    }
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: stopping }).catch(() => {})
  }
}
