import type { Database } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { bestEffort } from './best-effort.ts'

/**
 * Maximum time that an accepted job waits for its row, ms. The wait lets a GET after the 202 usually find the
 * job.
 */
const WITHIN_MS = 60

/**
 * Returns a function that writes the row of an accepted job if the database answers within 60 ms. It never
 * fails. A row that is not written now is written later, from the event of the acceptance.
 */
export function jobRecorder(
  database: Database,
  log: Log,
): (accepted: RunAccepted) => Promise<void> {
  return bestEffort<RunAccepted, void>(
    async (jobs, signal) => {
      await acceptJobs(database, jobs, signal)
      return []
    },
    log,
    {
      most: 500,
      gatherMs: 3,
      withinMs: WITHIN_MS,
      whenSuspended: 'job rows are left to the recorder',
    },
  )
}
