import { atOnce, type Database } from '#shared/catalogue/database.ts'
import { putInWaiting, type QuotaUse, quotaUses } from '#shared/catalogue/jobs/waiting-jobs.ts'
import { laneOf } from '#shared/contracts/lanes.ts'
import type { RunAccepted } from '#shared/contracts/messages/run.ts'
import { type Tenants, tenantOf } from '#shared/contracts/tenants.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { bestEffort } from './best-effort.ts'

/** Maximum time that a job waits for the answer whether its tenant has room, ms. After that it is handed on. */
const WITHIN_MS = 1000
/** For this long a job that was let through may not have a row yet, ms, and is counted as if it had none. */
const UNSEEN_MS = 500

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
 */
export function tenantQuotas(database: Database, tenants: Tenants, log: Log): Quotas {
  const quotaOf = (tenant: string) =>
    Object.hasOwn(tenants, tenant) ? tenants[tenant]?.quota : undefined
  /** When jobs were let through whose rows may not be there yet, by tenant, ms. */
  const unseen = new Map<string, number[]>()
  const ask = bestEffort<RunAccepted, boolean>(
    async (jobs, signal) => {
      const asked = [...new Set(jobs.map(tenantOf))]
      const uses = await quotaUses(atOnce(database, signal), asked)
      const over = overflowing(jobs, new Map(uses.map((use) => [use.tenant, use])))
      const waiting = await putInWaiting(database, over, signal)
      return jobs.map(({ job }) => waiting.has(job))
    },
    log,
    {
      most: 500,
      gatherMs: 3,
      withinMs: WITHIN_MS,
      whenSuspended: 'jobs are taken without a look at the quotas of their tenants',
    },
  )

  /** Those that there is no room for. The others are counted as open. Nothing is awaited in between. */
  function overflowing(
    jobs: readonly RunAccepted[],
    uses: ReadonlyMap<string, QuotaUse>,
  ): RunAccepted[] {
    const now = performance.now()
    for (const [tenant, times] of unseen) {
      const young = times.filter((time) => now - time < UNSEEN_MS)
      if (young.length > 0) unseen.set(tenant, young)
      else unseen.delete(tenant)
    }
    return jobs.filter((accepted) => {
      const tenant = tenantOf(accepted)
      const { open = 0, waits = false } = uses.get(tenant) ?? {}
      const times = unseen.get(tenant) ?? []
      const quota = quotaOf(tenant) ?? Number.POSITIVE_INFINITY
      if (waits || open + times.length >= quota) return true
      unseen.set(tenant, [...times, now])
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
