import { type JobId, runPrefix } from '../contracts/names.ts'
import type { StoreDriver } from '../store/driver/driver.ts'

/** A run's intermediate objects are older than this only when nobody will ever remove them, ms. */
export const SCRATCH_AGE_MS = 24 * 3600_000
/** A write takes minutes at the most, ms. */
export const TEMPORARY_AGE_MS = 3600_000

/**
 * Removes the runs from scratch in which nothing has been written for `ageMs`. The net beneath the removal that
 * a run itself does; on Cloud Storage the bucket's lifecycle is the net. Answers how many were removed.
 */
export async function sweepRuns(
  scratch: StoreDriver,
  ageMs: number,
  signal: AbortSignal,
): Promise<number> {
  const latest = new Map<string, Date>()
  for await (const { name, modified } of scratch.list('', { signal })) {
    const [route, job, run] = name.split('/')
    if (route === undefined || job === undefined || !/^\d+$/.test(run ?? '')) continue
    const prefix = runPrefix({ route, job: job as JobId, run: Number(run) })
    const known = latest.get(prefix)
    if (known === undefined || modified > known) latest.set(prefix, modified)
  }
  let removed = 0
  for (const [prefix, modified] of latest) {
    if (Date.now() - modified.getTime() < ageMs) continue
    await scratch.removeAll(prefix)
    removed++
  }
  return removed
}
