import type { Readable } from 'node:stream'
import type { Registry } from '#shared/assets/registry.ts'
import type { CampaignSource } from '#shared/catalogue/campaigns/campaign.ts'
import { campaignId, createCampaign } from '#shared/catalogue/campaigns/create-campaign.ts'
import { createSample } from '#shared/catalogue/campaigns/forecast-campaign.ts'
import {
  type CampaignMove,
  changeCampaign,
  MOVES,
  type Mover,
  moveCampaign,
} from '#shared/catalogue/campaigns/move-campaign.ts'
import { findCampaign } from '#shared/catalogue/campaigns/read-campaigns.ts'
import type { Database } from '#shared/catalogue/database.ts'
import type { Campaign } from '#shared/contracts/api/campaign.ts'
import type { CampaignChange, CampaignWish } from '#shared/contracts/api/campaign-wish.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { masterPrefixes } from '#shared/contracts/route.ts'
import type { Config } from '#shared/frame/settings.ts'
import { tenantFor } from '#shared/jobs/accept.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { withinPrefixes } from '#shared/store/open.ts'
import { endRowsSoon } from '../cancel/cancelling.ts'
import { changeCatalogue } from '../http/query.ts'
import { toCampaign } from './shown.ts'

/** What can be done with campaigns. Each @throws HttpError UPSTREAM_DOWN when the catalogue does not answer. */
export interface CampaignActions {
  /**
   * Creates a campaign.
   * @throws HttpError BAD_REQUEST, EMPTY_QUESTION, MANIFEST_OUT_OF_BOUNDS, NOT_FOUND; PermanentError
   * UNKNOWN_DERIVATIVE, UNKNOWN_TENANT, OTHER_TENANT
   */
  create(wish: CampaignWish, caller: Caller): Promise<Campaign>
  /** Stores the lines of a manifest, and creates a campaign of it. */
  createOf(
    lines: Readable,
    type: string,
    wish: Omit<CampaignWish, 'manifest' | 'question' | 'failed_of'>,
    caller: Caller,
  ): Promise<Campaign>
  /**
   * Runs a sample of a campaign whose list is complete, unless that has been done.
   * @throws HttpError NOT_FOUND, WRONG_STATE
   */
  forecast(id: string, by: string): Promise<Campaign>
  /** @throws HttpError NOT_FOUND, WRONG_STATE */
  move(id: string, move: CampaignMove, mover: Mover): Promise<Campaign>
  /** @throws HttpError NOT_FOUND */
  change(id: string, change: CampaignChange): Promise<Campaign>
}

interface Caller {
  readonly by: string
  /** On whose account; undefined where authentication is off. */
  readonly tenant: string | undefined
}

interface ActionDeps extends Pick<Config, 'routes' | 'tenants'> {
  readonly database: Database
  readonly registry: Registry
  /** Where manifests are kept that come as lines. */
  readonly uploads: StoreDriver
  /** Called when a campaign has been withdrawn, before the rows of its jobs are ended. */
  readonly onCancelled: () => void
  /** Aborts when uploads under way have to be given up. */
  readonly aborting: AbortSignal
}

/** The folder of manifests that came as lines: no track has such a name. */
const FOLDER = '_campaigns'

export function campaignActions(deps: ActionDeps): CampaignActions {
  const { database, registry, uploads } = deps

  async function add(
    id: string,
    wish: CampaignWish,
    { source, assets }: { readonly source: CampaignSource; readonly assets: readonly string[] },
    { by, ...caller }: Caller,
  ): Promise<Campaign> {
    const { name, start: starts = false, weight = 1, rate = null, budget = null } = wish
    const tenant = tenantFor(wish.tenant, caller.tenant, deps)
    const wanted = { id, tenant, name, source, assets, starts, weight, rate, budget, by }
    await changeCatalogue(() => createCampaign(database, wanted))
    return await shown(id)
  }

  async function shown(id: string): Promise<Campaign> {
    const found = await changeCatalogue(() => findCampaign(database, id))
    if (found === undefined) throw unknown(id)
    return toCampaign(found)
  }

  return {
    async create(wish, caller) {
      return await add(campaignId(), wish, await sourceOf(wish, deps), caller)
    },
    async createOf(lines, type, wish, caller) {
      // Before anything is stored.
      tenantFor(wish.tenant, caller.tenant, deps)
      const assets = assetsOf(wish.derivative_assets, registry)
      const id = campaignId()
      const name = `${FOLDER}/${id}.${type === 'text/csv' ? 'csv' : 'ndjson'}` as ObjectName
      await uploads.create(name, lines, { contentType: type, signal: deps.aborting })
      const source = { kind: 'manifest', uri: uploads.uri(name) } as const
      return await add(id, wish, { source, assets }, caller)
    },
    async forecast(id, by) {
      const found = await changeCatalogue(() => findCampaign(database, id))
      if (found === undefined) throw unknown(id)
      const { tenant, name, assets, weight, state, enumerated, items, source, forecast } =
        found.campaign
      if (forecast !== null) return toCampaign(found)
      if (enumerated < 1 || items === 0 || source.kind === 'sample') {
        const words = `The campaign ${id} is ${state}, with ${items} items: expected a complete list of at least one, and no sample.`
        throw new HttpError('WRONG_STATE', words)
      }
      const sample = {
        ...{ id: campaignId(), tenant, name: `a sample of ${name}`.slice(0, 200), assets },
        source: { kind: 'sample', campaign: id } as const,
        ...{ starts: true, weight, rate: null, by },
      }
      await changeCatalogue(() => createSample(database, id, sample))
      return await shown(id)
    },
    async move(id, move, mover) {
      const moved = await changeCatalogue(() => moveCampaign(database, id, move, mover))
      if (moved === undefined) throw unknown(id)
      const { campaign, isAllowed, cancellation } = moved
      if (!isAllowed) {
        const words = `The campaign ${id} is ${campaign.state}: expected ${MOVES[move].from.join(' or ')} for ${move}.`
        throw new HttpError('WRONG_STATE', words)
      }
      if (cancellation !== undefined) {
        deps.onCancelled()
        await endRowsSoon(database, cancellation)
      }
      return await shown(id)
    },
    async change(id, change) {
      const changed = await changeCatalogue(() => changeCampaign(database, id, change))
      if (changed === undefined) throw unknown(id)
      return await shown(id)
    },
  }
}

async function sourceOf(
  wish: CampaignWish,
  { database, registry, routes }: Pick<ActionDeps, 'database' | 'registry' | 'routes'>,
): Promise<{ readonly source: CampaignSource; readonly assets: readonly string[] }> {
  const { manifest, question, failed_of, derivative_assets } = wish
  const given = [manifest, question, failed_of].filter((each) => each !== undefined)
  if (given.length !== 1) {
    const words = `${given.length} sources are given; expected one of manifest, question, failed_of.`
    throw new HttpError('BAD_REQUEST', words, { at: '/' })
  }
  if (failed_of !== undefined) {
    const known = await changeCatalogue(() => findCampaign(database, failed_of))
    if (known === undefined) throw unknown(failed_of, '/failed_of')
    const assets = assetsOf(derivative_assets ?? known.campaign.assets, registry)
    return { source: { kind: 'failed', campaign: failed_of }, assets }
  }
  if (manifest !== undefined) {
    const prefixes = Object.values(routes).flatMap(masterPrefixes)
    if (!withinPrefixes(manifest, prefixes)) {
      const words = `${JSON.stringify(manifest)} lies outside what the chain may read.`
      throw new HttpError('MANIFEST_OUT_OF_BOUNDS', words, { at: '/manifest' })
    }
    const assets = assetsOf(derivative_assets, registry)
    return { source: { kind: 'manifest', uri: manifest }, assets }
  }
  return questionOf(question ?? {}, derivative_assets, registry)
}

function questionOf(
  question: NonNullable<CampaignWish['question']>,
  given: readonly string[] | undefined,
  registry: Registry,
) {
  const { stale, lacks, filter } = question
  const asked = [...new Set([...(stale ?? []), ...(lacks ?? [])])]
  assetsOf(stale, registry, '/question/stale')
  assetsOf(lacks, registry, '/question/lacks')
  if (asked.length === 0 && Object.keys(filter ?? {}).length === 0) {
    const words = 'The question names nothing: expected stale, lacks or a filter.'
    throw new HttpError('EMPTY_QUESTION', words, { at: '/question' })
  }
  for (const name of ['bpm', 'seconds'] as const) {
    const [from, to] = [filter?.[`${name}_from`], filter?.[`${name}_to`]]
    if (from !== undefined && to !== undefined && from > to) {
      const words = `${name}_from is ${from}, which is more than ${name}_to, ${to}.`
      throw new HttpError('BAD_REQUEST', words, { at: `/question/filter/${name}_from` })
    }
  }
  const narrows = given === undefined && asked.length > 0
  const source = { kind: 'question', ...question, ...(narrows ? { narrows } : {}) } as const
  return { source, assets: narrows ? asked : assetsOf(given, registry) }
}

/** The assets that are asked for; all of them by default. @throws PermanentError UNKNOWN_DERIVATIVE */
function assetsOf(
  given: readonly string[] | undefined,
  registry: Registry,
  at = '/derivative_assets',
): readonly string[] {
  for (const [index, id] of (given ?? []).entries()) {
    if (registry.has(id)) continue
    const words = `${JSON.stringify(id)} is not available here; available: ${[...registry.keys()].join(', ')}`
    throw new PermanentError('UNKNOWN_DERIVATIVE', words, { at: `${at}/${index}` })
  }
  return given ?? [...registry.keys()]
}

/** That no campaign has this id. */
export function unknown(id: string, at = '/id'): HttpError {
  return new HttpError('NOT_FOUND', `There is no campaign ${id}.`, { at })
}
