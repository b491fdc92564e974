import { repeat } from '#shared/frame/repeat.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { type EnumerateDeps, enumerateOnce } from './enumerate.ts'
import { forecastOnce, holdToBudgets } from './forecast.ts'
import { type ReleaseDeps, releaseOnce } from './release.ts'

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
