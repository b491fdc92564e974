import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '#shared/catalogue/database.ts'
import {
  addEventDays,
  dropEventDays,
  forget,
  forgetPlaces,
} from '#shared/catalogue/events/forget.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'

/**
 * Maximum number of rows that one statement removes. Small enough that other statements do not wait long for
 * it.
 */
const BATCH_ROWS = 5000
/** Pause between two statements, ms, so that other work goes first. */
const PAUSE_MS = 200

/**
 * Makes partitions for the events of the coming days. Removes events and settled dead letters older than `days`: events
 * by whole days, the rest batch by batch until none is left. With 0 days none of these is ever removed. Where tracks stood
 * in lists before is forgotten after two days in any case. If the database does not answer, the rest stays until the next
 * call.
 * @returns the number of events and letters removed, without those of whole days; a batch whose answer was lost is not
 * included
 */
export async function forgetOld(
  { database, days, log }: { database: Database; days: number; log: Log },
  stopping: AbortSignal,
  atOnce = BATCH_ROWS,
): Promise<number> {
  let gone = 0
  let goneDays = 0
  try {
    await addEventDays(database, stopping)
    while ((await forgetPlaces(database, atOnce, stopping)) >= atOnce)
      await sleep(PAUSE_MS, undefined, { signal: stopping })
    if (days === 0) return 0
    goneDays = await dropEventDays(database, days, stopping)
    for (;;) {
      const batch = await forget(database, days, atOnce, stopping)
      gone += batch
      if (batch < atOnce) break
      await sleep(PAUSE_MS, undefined, { signal: stopping })
    }
  } catch (error) {
    if (!stopping.aborted)
      log.warn({ error: sentence(error) }, 'old events could not be removed')
  }
  if (gone + goneDays > 0)
    log.info({ gone, goneDays, days }, 'old events and settled dead letters were removed')
  return gone
}
