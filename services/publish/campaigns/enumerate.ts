import type { Campaign, CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import {
  addItems,
  addRefusals,
  moveCursor,
  type NewItem,
  type NewRefusal,
  stopEnumerating,
  takeEnumerating,
} from '#shared/catalogue/campaigns/enumerate-campaign.ts'
import type { Database, Query } from '#shared/catalogue/database.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { trackOf } from '#shared/contracts/names.ts'
import { type AcceptSettings, accept } from '#shared/jobs/accept.ts'
import type { UncheckedJob } from '#shared/jobs/csv-jobs.ts'
import { failedBatches, questionBatches, sampleBatches } from './catalogue-sources.ts'
import { manifestBatches } from './manifest.ts'
import { type Batch, type Candidate, SourceError } from './source.ts'

/** How long a step reads, ms. Its last batch may take longer, and nobody waits for it but who pauses the campaign. */
const STEP_MS = 2000
/** Of this many first lines at most that many are refused of a manifest that is meant. */
const FIRST_LINES = 10_000
const MAX_FIRST_REFUSED = 100

export interface EnumerateDeps {
  readonly database: Database
  readonly locate: Parameters<typeof manifestBatches>[2]['locate']
  readonly settings: AcceptSettings
  readonly stopping: AbortSignal
}

/**
 * Reads on in the source of the oldest campaign that is to be enumerated, for about two seconds. Its items, what was
 * refused and how far it has come are committed together: a process that dies loses this step, and nothing is there twice.
 * @param failing collects the numbers of campaigns whose source does not answer; they are passed over
 * @returns whether there was one
 */
export async function enumerateOnce(
  { database, locate, settings, stopping }: EnumerateDeps,
  failing: Set<number> = new Set(),
  stepMs = STEP_MS,
): Promise<boolean> {
  const done = await database.transaction(async (query) => {
    const taken = await takeEnumerating(query, [...failing])
    if (taken === undefined) return undefined
    const batches = batchesOf(taken.source, taken.cursor, { query, locate, settings, stopping })
    const until = performance.now() + stepMs
    const { fault } = await step(query, taken, batches, { settings, until })
    return { taken, fault }
  }, stopping)
  if (done?.fault === undefined) return done !== undefined
  // Not within the transaction: that a store does not answer is no fault of the database.
  failing.add(done.taken.number)
  throw done.fault
}

function batchesOf(
  source: CampaignSource,
  cursor: object | null,
  deps: Pick<EnumerateDeps, 'locate' | 'settings' | 'stopping'> & { readonly query: Query },
): AsyncGenerator<Batch> {
  const { query, locate, settings, stopping: signal } = deps
  if (source.kind === 'manifest') return manifestBatches(source, cursor, { locate, signal })
  if (source.kind === 'sample') return sampleBatches(source, { query })
  if (source.kind === 'failed') return failedBatches(source, cursor, { query })
  return questionBatches(source, cursor, { query, registry: settings.registry })
}

/** @returns what the source threw, after what had been read before */
async function step(
  query: Query,
  campaign: Campaign,
  batches: AsyncIterable<Batch>,
  { settings, until }: { readonly settings: AcceptSettings; readonly until: number },
): Promise<{ readonly fault?: unknown }> {
  let { items, refused, lookedAt, cursor, enumerated, source } = campaign
  let isEnd = false
  let stopped: { readonly code: string; readonly sentence: string } | undefined
  let fault: unknown
  try {
    for await (const batch of batches) {
      const checked = batch.candidates.map((each) => checkedItem(each, campaign, settings))
      const refusals = checked.flatMap(({ refusal = [] }) => refusal)
      await addRefusals(query, campaign.number, refusals)
      const news = checked.flatMap(({ item = [] }) => item)
      const added = await addItems(query, { number: campaign.number, items }, news)
      const isFirst = lookedAt < FIRST_LINES
      items += added.added
      refused += added.refused + refusals.length
      lookedAt += batch.lookedAt
      ;({ cursor, enumerated, isEnd, source = source } = batch)
      if (isFirst && refused > MAX_FIRST_REFUSED && !campaign.allowsRefused) {
        const words = `${refused} of the first ${lookedAt} lines were refused`
        stopped = { code: 'TOO_MANY_REFUSED', sentence: words }
        break
      }
      if (performance.now() > until) break
    }
  } catch (error) {
    if (error instanceof SourceError) stopped = { code: error.code, sentence: error.message }
    else fault = error
  }
  if (cursor !== null) {
    const counts = {
      items: items - campaign.items,
      refused: refused - campaign.refused,
      lookedAt: lookedAt - campaign.lookedAt,
    }
    await moveCursor(query, campaign.number, { ...counts, source, cursor, enumerated, isEnd })
  }
  // At the end of its source nothing is left to stop; it can still be looked at before it is started.
  if (stopped !== undefined && !(isEnd && !campaign.starts))
    await stopEnumerating(query, campaign.number, stopped.code, stopped.sentence)
  return { fault }
}

/** The EncodeJob of an item of a campaign. */
export function encodeJobOf(
  { id, assets }: Pick<Campaign, 'id' | 'assets'>,
  job: UncheckedJob,
): UncheckedJob {
  return { derivative_assets: assets, ...job, request_id: id, lane: 'backfill' }
}

function checkedItem(
  candidate: Candidate,
  campaign: Campaign,
  settings: AcceptSettings,
): { readonly item?: NewItem; readonly refusal?: NewRefusal } {
  const { line } = candidate
  let job: UncheckedJob | undefined
  try {
    job = candidate.job()
    for (const name of ['request_id', 'lane'])
      if (name in job) {
        const words = `${name} is given, which is the campaign's`
        throw new PermanentError('NOT_AN_ENCODE_JOB', words, { at: `/${name}` })
      }
    const { request } = accept(encodeJobOf(campaign, job), settings, {}, campaign.tenant)
    return { item: { line, asset_guid: request.asset_guid, request: restOf(job, campaign) } }
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error
    const { code, message: sentence } = error
    const track = job && trackOf(job)
    return {
      refusal: {
        ...{ line, code, sentence, excerpt: candidate.excerpt() },
        asset_guid: track === undefined ? null : track.slice(0, 200),
      },
    }
  }
}

/** What an item keeps of its job. */
function restOf(job: UncheckedJob, { assets }: Campaign): object | null {
  const { asset_guid: _, derivative_assets, ...rest } = job
  const own = `${derivative_assets}` !== `${assets}` && derivative_assets !== undefined
  const kept = own ? { ...rest, derivative_assets } : rest
  return Object.keys(kept).length > 0 ? kept : null
}
