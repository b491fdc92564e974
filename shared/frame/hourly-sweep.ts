import { sentence } from '../contracts/errors/sentence.ts'
import type { Service } from './service.ts'
import { SCRATCH_AGE_MS, sweepRuns, TEMPORARY_AGE_MS } from './sweep.ts'
import { atZero } from './telemetry/metrics.ts'

const SWEEP_EVERY_MS = 3600_000

/**
 * Removes leftovers from file stores every hour until the process stops. For the service that takes in a route's
 * tracks: `stage` or the dispatcher.
 */
export function sweepHourly({ lifecycle, log, metrics, scratch, uploads }: Service): void {
  // Counted under a label of its own: a run should have removed its scratch itself, so something is wrong.
  const of = { step: 'sweep' }
  atZero(metrics.collected, [of])
  async function sweep(): Promise<void> {
    const signal = lifecycle.stopping
    // A store without temporary files is a bucket, whose lifecycle rules do all of this.
    if (scratch.sweepTemporary !== undefined)
      metrics.collected.add(await sweepRuns(scratch, SCRATCH_AGE_MS, signal), of)
    await scratch.sweepTemporary?.(TEMPORARY_AGE_MS, { signal })
    await uploads.sweepTemporary?.(TEMPORARY_AGE_MS, { signal })
  }
  const timer = setInterval(() => {
    sweep().catch((error) => log.warn({ error: sentence(error) }, 'scratch could not be swept'))
  }, SWEEP_EVERY_MS)
  lifecycle.onClose('sweep', async () => clearInterval(timer))
}
