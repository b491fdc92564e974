import { atOnce, type Database } from '#shared/catalogue/database.ts'
import { putInWaiting, type QuotaUse, quotaUses } from '#shared/catalogue/jobs/waiting-jobs.ts'
import { laneOf } from '#shared/contracts/lanes.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { type Tenants, tenantOf } from '#shared/contracts/tenants.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { bestEffort } from './best-effort.ts'

/** Maximum time that a job waits for the answer whether its tenant has room, ms. After that it is handed on. */
const WITHIN_MS = 1000
/** Jobs that were let through without a row yet are counted for so long, ms: then it will not come soon. */
const WITHOUT_ROW_MS = 5000

export interface Quotas {
  /**
   * Decides whether a new job is handed on or waits, because its tenant has as many jobs open as its quota says, or
   * because others of the tenant wait. Those that wait are in the database when this resolves to true.
   */
  holdBack(accepted: RunAccepted): Promise<boolean>
}

/**
 * Holds back the jobs of tenants with a quota. Jobs of the lane backfill have none, because campaigns have a window
 * anyway. While the database does not answer, every job is handed on: availability goes before fairness. Replicas that
 * look at the same moment may let a few more through.
 * @param withinMs how long a job waits for the answer, ms; after that it is handed on
 */
export function tenantQuotas(
  database: Database,
  tenants: Tenants,
  log: Log,
  withinMs = WITHIN_MS,
): Quotas {
  const quotaOf = (tenant: string) =>
    Object.hasOwn(tenants, tenant) ? tenants[tenant]?.quota : undefined
  /** Jobs that were let through and may have no row yet: the tenant of each, and when that was, ms. */
  const unseen = new Map<string, { readonly tenant: string; readonly at: number }>()
  const ask = bestEffort<RunAccepted, boolean>(
    async (jobs, signal) => {
      const tenants = [...new Set(jobs.map(tenantOf))]
      const query = atOnce(database, signal)
      const { uses, counted } = await quotaUses(query, tenants, [...unseen.keys()])
      for (const job of counted) unseen.delete(job)
      const over = overflowing(jobs, new Map(uses.map((use) => [use.tenant, use])))
      const waiting = await putInWaiting(database, over, signal)
      return jobs.map(({ job }) => waiting.has(job))
    },
    log,
    {
      most: 500,
      gatherMs: 3,
      withinMs,
      whenSuspended: 'jobs are taken without a look at the quotas of their tenants',
    },
  )

  /** Those that there is no room for. The others are counted as open. Nothing is awaited in between. */
  function overflowing(
    jobs: readonly RunAccepted[],
    uses: ReadonlyMap<string, QuotaUse>,
  ): RunAccepted[] {
    const now = performance.now()
    const open = new Map([...uses.values()].map((use) => [use.tenant, use.open]))
    for (const [job, { tenant, at }] of unseen) {
      if (now - at > WITHOUT_ROW_MS) unseen.delete(job)
      else open.set(tenant, (open.get(tenant) ?? 0) + 1)
    }
    return jobs.filter((accepted) => {
      const tenant = tenantOf(accepted)
      const mine = open.get(tenant) ?? 0
      const quota = quotaOf(tenant) ?? Number.POSITIVE_INFINITY
      if (uses.get(tenant)?.waits || mine >= quota) return true
      open.set(tenant, mine + 1)
      unseen.set(accepted.job, { tenant, at: now })
      return false
    })
  }

  return {
    async holdBack(accepted) {
      if (quotaOf(tenantOf(accepted)) === undefined || laneOf(accepted) === 'backfill')
        return false
      return (await ask(accepted)) ?? false
    },
  }
}
