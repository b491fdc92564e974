import type { Released } from '#shared/catalogue/campaigns/release-campaign.ts'

/** What all campaigns together have in the queue. */
const MIN_WINDOW = 200
const MAX_WINDOW = 20_000

/** How much a tenant gets beside the others. */
export type WeightOf = (tenant: string) => number

/**
 * How many items of each campaign may be in the queue. All of them together have there what was completed in three
 * minutes, each its share: by the weight of its tenant among those that have anything to do, and by its own among those of
 * its tenant. From a queue that is kept full each gets what it has in it, so nobody keeps accounts, and a campaign that
 * stands still takes up its own share alone.
 */
export function windowsOf(
  running: readonly Released[],
  completed: number,
  weightOf: WeightOf,
): ReadonlyMap<number, number> {
  const whole = Math.min(MAX_WINDOW, Math.max(MIN_WINDOW, completed))
  const busy = running.filter(
    ({ campaign, open, withdrawn }) =>
      open > 0 || withdrawn > 0 || campaign.items > campaign.released,
  )
  const ofTenant = new Map<string, number>()
  for (const { campaign } of busy)
    ofTenant.set(campaign.tenant, (ofTenant.get(campaign.tenant) ?? 0) + campaign.weight)
  const all = [...ofTenant.keys()].reduce((sum, tenant) => sum + weightOf(tenant), 0)
  return new Map(
    busy.map(({ campaign: { number, tenant, weight } }) => {
      const share = (weightOf(tenant) / all) * (weight / (ofTenant.get(tenant) ?? weight))
      return [number, Math.max(1, Math.round(whole * share))]
    }),
  )
}

/** A rate may be made up for after so long, s: a pass that comes late releases more. */
const CATCH_UP_SECONDS = 5

/**
 * How many items a rate allows now, and up to when it is used once they are released.
 * @param rate items a minute; null: no limit
 * @param paced up to when it has been used
 */
export function allowanceOf(
  rate: number | null,
  paced: Date | null,
  now: Date,
): { readonly allowed: number; usedUpTo(items: number): Date | null } {
  if (rate === null) return { allowed: Number.POSITIVE_INFINITY, usedUpTo: () => null }
  const eachMs = 60_000 / rate
  const earliest = now.getTime() - Math.max(1000 * CATCH_UP_SECONDS, eachMs)
  const from = Math.max(paced?.getTime() ?? now.getTime() - eachMs, earliest)
  return {
    allowed: Math.max(0, Math.floor((now.getTime() - from) / eachMs + 1e-6)),
    usedUpTo: (items) => new Date(from + items * eachMs),
  }
}
