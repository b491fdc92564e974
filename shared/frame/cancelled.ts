import { setTimeout as sleep } from 'node:timers/promises'
import { isDenied } from '../contracts/errors/store.ts'
import { type JobId, runPrefix } from '../contracts/names.ts'
import type { CancellableRun } from './cancellations.ts'
import type { StepContext } from './step.ts'

/** How long the end of an aborted step is waited for, ms: what it still writes has to be there when scratch is cleared. */
const SETTLE_MS = 2000

/** Aborts the step of a run that was cancelled. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
}

/** Waits until aborted work has ended, 2 s at most. */
export async function settled(working: Promise<unknown> | undefined): Promise<void> {
  if (working === undefined) return
  const late = sleep(SETTLE_MS, undefined, { ref: false })
  await Promise.race([working.catch(() => {}), late])
}

/**
 * Clears everything that a cancelled run has in scratch, of all of its plans: the next run of the job has another number.
 * A late copy of a step finds its run cancelled, too, and brings nothing back.
 */
export async function clearRun(
  { route, job, run }: CancellableRun,
  { scratch, collected }: Pick<StepContext, 'scratch' | 'collected'>,
): Promise<void> {
  try {
    await scratch.removeAll(runPrefix({ route, job: job as JobId, run }))
  } catch (error) {
    // A retry does not mend that. Preflight reports it, and the bucket's lifecycle removes the objects.
    if (isDenied(error)) return
    throw error
  }
  collected()
}
