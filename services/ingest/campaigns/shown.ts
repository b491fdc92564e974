import type { CampaignStatus } from '#shared/catalogue/campaigns/read-campaigns.ts'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import { CAMPAIGN_ERRORS } from '#shared/contracts/errors/campaign.ts'
import { remedyOf } from '#shared/contracts/errors/chain.ts'
import { HTTP_ERRORS } from '#shared/contracts/errors/http.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { computeUsd } from '#shared/contracts/prices.ts'
import { shownUri } from '#shared/contracts/uploads.ts'

/** A campaign as the API shows it. */
export function toCampaign({
  campaign,
  outcomes,
  open,
  waiting,
  eta,
  spent,
}: CampaignStatus): Campaign {
  const { id, name, tenant, state, starts, source, assets, weight, rate, by } = campaign
  const { pausedCode, pausedSentence, created, started, ended } = campaign
  const paused =
    pausedCode === null
      ? null
      : {
          code: pausedCode,
          sentence: withoutPaths(pausedSentence ?? ''),
          ...remedyFor(pausedCode),
        }
  const { done, partial, failed, cancelled, refused } = outcomes
  return {
    ...{ id, name, tenant, state, start: starts, paused },
    source: toSource(source),
    derivative_assets: [...assets],
    ...{ weight, rate },
    enumerated: Math.floor(100 * campaign.enumerated),
    looked_at: campaign.lookedAt,
    items: campaign.items,
    refused: campaign.refused,
    ...{ waiting, open, done, partial, failed, cancelled, unreleasable: refused },
    eta: eta && {
      at: eta.at.toISOString(),
      from: eta.from.toISOString(),
      to: eta.to?.toISOString() ?? null,
    },
    budget: campaign.budget,
    spent: spending(spent),
    forecast: toForecast(campaign.forecast),
    by,
    created: created.toISOString(),
    started: started?.toISOString() ?? null,
    ended: ended?.toISOString() ?? null,
    href: `/v1/campaigns/${id}`,
  }
}

function spending(coreSeconds: number): Campaign['spent'] {
  return { core_seconds: rounded(coreSeconds, 2), usd: rounded(computeUsd(coreSeconds), 4) }
}

function toForecast(forecast: CampaignStatus['campaign']['forecast']): Campaign['forecast'] {
  if (forecast === null) return null
  const { sample, result } = forecast
  if (result === undefined) return { sample, result: null }
  const { core_seconds, from, to, sampled, seconds } = result
  return {
    sample,
    result: {
      ...spending(core_seconds),
      ...{ from: spending(from), to: spending(to), sampled },
      seconds: seconds === null ? null : rounded(seconds, 2),
    },
  }
}

function rounded(value: number, places: number): number {
  return Math.round(value * 10 ** places) / 10 ** places
}

/** What is to be done about a code that a campaign or one of its lines has. */
export function remedyFor(code: string): { readonly remedy?: string } {
  const own = { ...HTTP_ERRORS, ...CAMPAIGN_ERRORS } as Record<string, { remedy: string }>
  const known = Object.hasOwn(own, code) ? own[code] : undefined
  return known === undefined ? remedyOf(code) : { remedy: known.remedy }
}

function toSource(source: CampaignStatus['campaign']['source']): Campaign['source'] {
  if (source.kind === 'manifest') return { kind: source.kind, uri: shownUri(source.uri) }
  if (source.kind === 'failed' || source.kind === 'sample')
    return { kind: source.kind, campaign: source.campaign }
  const { kind, stale, lacks, filter } = source
  return { kind, ...(stale && { stale }), ...(lacks && { lacks }), ...(filter && { filter }) }
}
