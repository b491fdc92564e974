import { batching } from '#shared/async/batch.ts'
import type { Database } from '#shared/catalogue/database.ts'
import {
  type Announcement,
  markAnnounced,
  recordRuns,
} from '#shared/catalogue/jobs/record-runs.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import type { Additions } from './commit-metrics.ts'
import type { PublishDeps } from './step.ts'

/** Maximum number of runs whose rows are written in one transaction. */
const MAX_BATCH = 200
/** How long a run may wait for other runs to fill the batch, ms. */
const GATHER_MS = 5

/**
 * Records runs and marks announcements in batches, one transaction a batch. A run that another delivery is
 * announcing at this moment is given back. When it is delivered again, either it has been announced or the
 * claim has expired.
 */
export function runRecorder(
  database: Database,
  additions?: Pick<Additions, 'made' | 'failed'>,
): Pick<PublishDeps, 'record' | 'markAnnounced'> {
  const options = { most: MAX_BATCH, gatherMs: GATHER_MS }

  const record = batching<RunEnded, Announcement | undefined>(async (runs) => {
    const recorded = await recordRuns(database, runs)
    for (const asset of recorded.made) additions?.made(asset)
    for (const asset of recorded.failed) additions?.failed(asset)
    const due = new Map(recorded.due.map((announcement) => [announcement.job, announcement]))
    return runs.map(({ job }) => {
      const announcement = due.get(job)
      if (announcement === undefined) return undefined
      // If one batch contains copies of a run, the first copy announces it and the others are delivered again.
      due.set(job, { ...announcement, claimed: true })
      return announcement
    })
  }, options)

  const mark = batching<Announcement, void>(async (announced) => {
    await markAnnounced(database, announced)
    return []
  }, options)

  return {
    markAnnounced: mark,
    async record(run) {
      const found = await record(run)
      if (found?.claimed) throw new Error('another delivery is announcing this run: given back')
      return found
    },
  }
}
