import type { Registry } from '#shared/assets/registry.ts'
import { askedTracks } from '#shared/catalogue/campaigns/asked-tracks.ts'
import type { CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import { failedItems } from '#shared/catalogue/campaigns/failed-items.ts'
import { sampleOf } from '#shared/catalogue/campaigns/forecast-campaign.ts'
import type { Query } from '#shared/catalogue/database.ts'
import type { QuestionFilter } from '#shared/contracts/api/campaign-wish.ts'
import type { UncheckedJob } from '#shared/jobs/csv-jobs.ts'
import type { Batch } from './source.ts'

/** The tracks that one statement looks at. */
const MAX_LOOKED_AT = 5_000
/** The items that a forecast really runs. */
const SAMPLE_ITEMS = 200
/** What is taken over from the latest job of a track: where its master is, and what it is called elsewhere. */
const KEPT = ['release_id', 'asset_id', 'master_uri', 'site', 'strict']

type Question = Extract<CampaignSource, { kind: 'question' }>
type Failed = Extract<CampaignSource, { kind: 'failed' }>
type Sample = Extract<CampaignSource, { kind: 'sample' }>

/** The tracks that a question finds, from the cursor on, in the order of their keys. */
export async function* questionBatches(
  source: Question,
  cursor: object | null,
  { query, registry }: { readonly query: Query; readonly registry: Registry },
): AsyncGenerator<Batch> {
  const versions = (ids: readonly string[] = []) =>
    ids.flatMap((asset) => {
      const version = registry.get(asset)?.version
      return version === undefined ? [] : [{ asset, version }]
    })
  const asked = {
    filter: trackFilterOf((source.filter ?? {}) as QuestionFilter),
    stale: versions(source.stale),
    lacks: versions(source.lacks),
  }
  let { after, seen } = (cursor as { after: string; seen: number } | null) ?? {
    after: '',
    seen: 0,
  }
  for (let isEnd = false; !isEnd; ) {
    const { tracks, last, lookedAt, all } = await askedTracks(
      query,
      asked,
      after,
      MAX_LOOKED_AT,
    )
    isEnd = lookedAt < MAX_LOOKED_AT
    after = last ?? after
    seen += lookedAt
    const candidates = tracks.map(({ asset_guid, request, assets }) => ({
      line: null,
      excerpt: () => null,
      job: (): UncheckedJob => ({
        ...Object.fromEntries(
          KEPT.flatMap((name) => (name in request ? [[name, request[name]]] : [])),
        ),
        asset_guid,
        ...(source.narrows ? { derivative_assets: assets } : {}),
      }),
    }))
    const enumerated = isEnd ? 1 : Math.min(1, seen / Math.max(1, all))
    yield { candidates, lookedAt, cursor: { after, seen }, enumerated, isEnd }
  }
}

/** The items of another campaign whose jobs have failed, from the cursor on, in their order there. */
export async function* failedBatches(
  source: Failed,
  cursor: object | null,
  { query }: { readonly query: Query },
): AsyncGenerator<Batch> {
  let { after } = (cursor as { after: number } | null) ?? { after: 0 }
  for (let isEnd = false; !isEnd; ) {
    const { items, last, lookedAt } = await failedItems(
      query,
      source.campaign,
      after,
      MAX_LOOKED_AT,
    )
    isEnd = lookedAt < MAX_LOOKED_AT
    after = last ?? after
    const candidates = items.map(({ asset_guid, request }) => ({
      line: null,
      excerpt: () => null,
      job: (): UncheckedJob => ({ ...request, asset_guid }),
    }))
    yield { candidates, lookedAt, cursor: { after }, enumerated: isEnd ? 1 : 0.5, isEnd }
  }
}

/** Some items of another campaign, as good as drawn at random. */
export async function* sampleBatches(
  { campaign }: Sample,
  { query }: { readonly query: Query },
): AsyncGenerator<Batch> {
  const items = await sampleOf(query, campaign, SAMPLE_ITEMS)
  const candidates = items.map(({ asset_guid, request }) => ({
    line: null,
    excerpt: () => null,
    job: (): UncheckedJob => ({ ...request, asset_guid }),
  }))
  yield { candidates, lookedAt: items.length, cursor: {}, enumerated: 1, isEnd: true }
}

function trackFilterOf(filter: QuestionFilter) {
  const { asset, state, warning, q } = filter
  return {
    ...{ asset, state, q },
    bpmFrom: filter.bpm_from,
    bpmTo: filter.bpm_to,
    bpmConfidenceFrom: filter.bpm_confidence_from,
    keyConfidenceFrom: filter.key_confidence_from,
    secondsFrom: filter.seconds_from,
    secondsTo: filter.seconds_to,
    ...(warning === 'any' || warning === 'none'
      ? { isWarned: warning === 'any' }
      : { warning }),
  }
}
