import { batching } from '#shared/async/batch.ts'
import type { Announcement, Catalogue } from '#shared/catalogue/jobs/jobs.ts'
import type { RunEnded } from '#shared/contracts/messages/run.ts'
import type { PublishDeps } from './step.ts'

/** Rows of so many runs go into one transaction. */
const MOST = 200
/** How long a run may wait for others, ms. */
const GATHER_MS = 5

/**
 * Records runs and marks announcements, many to a transaction. What another delivery is announcing right now
 * is given back: by the time it comes again it has been announced, or the claim has run out.
 */
export function announcing(
  catalogue: Pick<Catalogue, 'recordRuns' | 'markAnnounced'>,
): Pick<PublishDeps, 'record' | 'markAnnounced'> {
  const options = { most: MOST, gatherMs: GATHER_MS }

  const record = batching<RunEnded, Announcement | undefined>(async (runs) => {
    const announcements = await catalogue.recordRuns(runs)
    const due = new Map(announcements.map((announcement) => [announcement.job, announcement]))
    return runs.map(({ job }) => {
      const announcement = due.get(job)
      if (announcement === undefined) return undefined
      // Copies of one run in one batch: the first announces, the others come again.
      due.set(job, { ...announcement, claimed: true })
      return announcement
    })
  }, options)

  const markAnnounced = batching<Announcement, void>(async (announced) => {
    await catalogue.markAnnounced(announced)
    return []
  }, options)

  return {
    markAnnounced,
    async record(run) {
      const found = await record(run)
      if (found?.claimed) throw new Error('another delivery is announcing this run: given back')
      return found
    },
  }
}
