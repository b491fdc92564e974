import { batching } from '#shared/batch.ts'
import type { Catalogue } from '#shared/catalogue/catalogue.ts'
import { sentence } from '#shared/errors.ts'
import type { Log } from '#shared/log.ts'
import type { RunAccepted } from '#shared/messages/run.ts'

/** How long an accepted job waits for its row, ms: so that a GET after a 202 finds it, as a rule. */
const WITHIN_MS = 60
/** After a fault, and after a slow answer, the database is left alone for so long, ms. */
const REST_AFTER_FAULT_MS = 5000
const REST_AFTER_SLOW_MS = 500
/** Rows that may be under way; what comes on top is left to the recorder of events. */
const MOST_PENDING = 5000

/**
 * Writes the row of an accepted job if the database answers at once. It never fails and never takes long:
 * a row that is not written now is written later, from the event of the acceptance.
 */
export function remembering(
  catalogue: Pick<Catalogue, 'acceptJobs'>,
  log: Log,
): (accepted: RunAccepted) => Promise<void> {
  const record = batching<RunAccepted, void>(
    async (batch) => {
      await catalogue.acceptJobs(batch, AbortSignal.timeout(REST_AFTER_FAULT_MS))
      return []
    },
    { most: 500, gatherMs: 3 },
  )
  let pending = 0
  let restUntil = 0

  function rest(ms: number, why: string): void {
    const now = performance.now()
    if (now >= restUntil) log.warn({ error: why }, 'job rows are left to the recorder')
    restUntil = Math.max(restUntil, now + ms)
  }

  return async (accepted) => {
    if (performance.now() < restUntil || pending >= MOST_PENDING) return
    pending++
    const recorded = record(accepted)
      .catch((error) => rest(REST_AFTER_FAULT_MS, sentence(error)))
      .finally(() => pending--)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        rest(REST_AFTER_SLOW_MS, `the database took over ${WITHIN_MS} ms`)
        resolve()
      }, WITHIN_MS)
    })
    await Promise.race([recorded, late])
    clearTimeout(timer)
  }
}
