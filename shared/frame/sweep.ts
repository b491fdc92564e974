import { type JobId, runPrefix } from '../contracts/names.ts'
import type { StoreDriver } from '../store/driver/driver.ts'

/** Intermediate objects of a run that are older than this will not be removed by the run any more, ms. */
export const SCRATCH_AGE_MS = 24 * 3600_000
/** Temporary files that are older than this are left over, ms: a write takes a few minutes at most. */
export const TEMPORARY_AGE_MS = 3600_000

/**
 * Removes the runs from scratch in which nothing has been written for `ageMs`. It is the safety net for runs that did
 * not remove their scratch themselves; on Cloud Storage the bucket's lifecycle is. @returns how many were removed.
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
