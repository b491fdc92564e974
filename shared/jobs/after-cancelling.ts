import type { EarlierJob } from '../catalogue/jobs/read-cancellations.ts'
import type { RunAccepted } from '../contracts/messages/run.ts'

/**
 * A job that is posted again after it was cancelled was accepted later than that, whatever the clocks say, and is the
 * next run: its scratch is not that of the cancelled one. A copy of a message that was sent before is cancelled, too.
 * @param sentMs when it was sent, ms since 1970; infinity: right now
 */
export function afterCancelling(
  accepted: RunAccepted,
  { cancelled, isCancelled, run }: EarlierJob,
  sentMs: number,
): RunAccepted {
  if (cancelled === null) return accepted
  if (sentMs <= cancelled.getTime())
    return { ...accepted, accepted: new Date(sentMs).toISOString() }
  const at = Math.max(Date.parse(accepted.accepted), cancelled.getTime() + 1)
  const again = Math.max(accepted.run, isCancelled ? run + 1 : run)
  return { ...accepted, run: again, accepted: new Date(at).toISOString() }
}
