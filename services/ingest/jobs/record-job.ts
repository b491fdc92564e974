import type { Catalogue } from '#shared/catalogue/jobs/jobs.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { briefly } from './briefly.ts'

/** How long an accepted job waits for its row, ms: so that a GET after a 202 finds it, as a rule. */
const WITHIN_MS = 60

/**
 * Writes the row of an accepted job if the database answers at once. It never fails and never takes long:
 * a row that is not written now is written later, from the event of the acceptance.
 */
export function recordJobs(
  catalogue: Pick<Catalogue, 'acceptJobs'>,
  log: Log,
): (accepted: RunAccepted) => Promise<void> {
  return briefly<RunAccepted, void>(
    async (jobs, signal) => {
      await catalogue.acceptJobs(jobs, signal)
      return []
    },
    log,
    {
      ...{ most: 500, gatherMs: 3, withinMs: WITHIN_MS },
      resting: 'job rows are left to the recorder',
    },
  )
}
