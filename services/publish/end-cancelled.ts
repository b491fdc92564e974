import type { Database } from '#shared/catalogue/database.ts'
import { endCancelled, openCancellations } from '#shared/catalogue/jobs/cancel-jobs.ts'

/**
 * Ends the rows of cancelled jobs that ingest has left open: because there are very many, or because its process or the
 * database went away in between. Each statement ends a bounded number.
 * @returns how many jobs were ended
 */
export async function endRowsOnce(database: Database, stopping: AbortSignal): Promise<number> {
  let ended = 0
  for (const cancellation of await openCancellations(database, stopping))
    ended += (await endCancelled(database, cancellation, stopping)).ended
  return ended
}
