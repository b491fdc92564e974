import { setTimeout as sleep } from 'node:timers/promises'
import type { Catalogue } from '#shared/catalogue/jobs/jobs.ts'
import { sentence } from '#shared/contracts/errors/chain.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'

/** Rows removed by one statement: so many that nobody waits for it. */
const AT_ONCE = 5000
/** Between two of them, ms: work comes first. */
const PAUSE_MS = 200

/**
 * Removes events and settled dead letters older than `days`, batch by batch until none is left; 0 keeps all for ever.
 * A database that does not answer is asked again the next time.
 * @returns how many rows went, at least
 */
export async function forgetOld(
  { catalogue, days, log }: { catalogue: Pick<Catalogue, 'forget'>; days: number; log: Log },
  stopping: AbortSignal,
  atOnce = AT_ONCE,
): Promise<number> {
  if (days === 0) return 0
  let gone = 0
  try {
    for (;;) {
      const batch = await catalogue.forget(days, atOnce, stopping)
      gone += batch
      if (batch < atOnce) break
      await sleep(PAUSE_MS, undefined, { signal: stopping })
    }
  } catch (error) {
    if (!stopping.aborted)
      log.warn({ error: sentence(error) }, 'old events could not be removed')
  }
  if (gone > 0) log.info({ gone, days }, 'old events and settled dead letters were removed')
  return gone
}
