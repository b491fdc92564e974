import { setTimeout as sleep } from 'node:timers/promises'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { type EnumerateDeps, enumerateOnce } from './enumerate.ts'
import { forecastOnce, holdToBudgets } from './forecast.ts'
import { type ReleaseDeps, releaseOnce } from './release.ts'

/** Between two looks for something to do, ms. */
const EVERY_MS = 1000
/** After a fault, ms. A source that does not answer is passed over for as long. */
const AFTER_FAULT_MS = 5000

/** Works on campaigns until the process stops: reads their sources, and releases their items. */
export async function workOnCampaigns(
  deps: EnumerateDeps & ReleaseDeps & { readonly log: Log },
): Promise<void> {
  const failing = new Set<number>()
  await Promise.all([
    repeat('the source of a campaign could not be read', deps, async () => {
      const isWork = await enumerateOnce(deps, failing)
      if (!isWork) failing.clear()
      return isWork
    }),
    repeat('items could not be released', deps, async () => (await releaseOnce(deps)) > 0),
    repeat('what campaigns cost could not be looked at', deps, async () => {
      await forecastOnce(deps.database, deps.stopping)
      await holdToBudgets(deps.database, deps.stopping)
      return false
    }),
  ])
}

/** @param act resolves to whether there may be more to do at once */
async function repeat(
  fault: string,
  { stopping, log }: { readonly stopping: AbortSignal; readonly log: Log },
  act: () => Promise<boolean>,
): Promise<void> {
  while (!stopping.aborted) {
    let pauseMs = EVERY_MS
    try {
      if (await act()) pauseMs = 0
    } catch (error) {
      if (stopping.aborted) return
      log.warn({ error: sentence(error) }, fault)
      pauseMs = AFTER_FAULT_MS
    }
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal: stopping }).catch(() => {})
  }
}
