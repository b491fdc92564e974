import type { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import {
  campaignRefusals,
  findCampaign,
  listCampaigns,
} from '#shared/catalogue/campaigns/read-campaigns.ts'
import type { Database } from '#shared/catalogue/database.ts'
import type { Campaign, CampaignPage, RefusedPage } from '#shared/contracts/api/campaign.ts'
import { CampaignChange, CampaignWish } from '#shared/contracts/api/campaign-wish.ts'
import { badRequest, HttpError } from '#shared/contracts/errors/http.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import { compile } from '#shared/contracts/validator.ts'
import { LINE_TYPES } from '../http/bodies.ts'
import { documentIn, JSON_TYPE, optionalDocumentIn, takeJson } from '../http/json-body.ts'
import { queryCatalogue, searchOf } from '../http/query.ts'
import { type CampaignActions, unknown } from './actions.ts'
import {
  CSV_TYPE,
  change,
  create,
  forecast,
  type LinesQuery,
  list,
  move,
  type PageQuery,
  type Params,
  ReasonBody,
  show,
  showRefused,
} from './schema.ts'
import { remedyFor, toCampaign } from './shown.ts'

const MAX_BODY = 100_000

const checkWish = compile<CampaignWish>(CampaignWish, 'The body', badRequest)
const checkChange = compile<CampaignChange>(CampaignChange, 'The body', badRequest)
const checkReason = compile<ReasonBody>(ReasonBody, 'The body', badRequest)

interface CampaignDeps {
  /** For reads. */
  readonly database: Database
  readonly campaigns: CampaignActions
}

/** All of /v1/campaigns. */
export async function campaignRoutes(
  app: FastifyInstance,
  { database, campaigns }: CampaignDeps,
): Promise<void> {
  takeJson(app, MAX_BODY)
  const LINES = [...LINE_TYPES, CSV_TYPE]
  app.addContentTypeParser(LINES, (_request, payload, done) => done(null, payload))
  const operating = { scope: 'operate', takes: [JSON_TYPE], inflates: true } as const
  const takes = [JSON_TYPE, LINE_TYPES[0] as string, CSV_TYPE]

  app.post<{ Querystring: LinesQuery }>(
    '/v1/campaigns',
    { schema: create, config: { ...operating, takes } },
    async ({ headers, body, query, caller: by, tenant }, reply): Promise<Campaign> => {
      const type = LINES.find((each) => headers['content-type']?.startsWith(each))
      if (type === undefined && Object.keys(query).length > 0) {
        const words = 'The settings of a campaign that is described as JSON stand in the body.'
        throw new HttpError('BAD_REQUEST', words, { at: `/${Object.keys(query)[0]}` })
      }
      const made =
        type === undefined
          ? await campaigns.create(checkWish(documentIn(body, 'a campaign')), { by, tenant })
          : await campaigns.createOf(body as Readable, type, wishOf(query), { by, tenant })
      return reply.code(202).header('location', made.href).send(made)
    },
  )

  app.get<{ Querystring: PageQuery }>(
    '/v1/campaigns',
    { schema: list, config: { scope: 'read' } },
    async ({ query }, reply): Promise<CampaignPage> => {
      const { limit = 100, page } = query
      const after = page === undefined ? undefined : Number(page)
      const found = await queryCatalogue((signal) =>
        listCampaigns(database, { limit, after }, signal),
      )
      reply.header('cache-control', 'no-store')
      const next = nextPage('/v1/campaigns', query, found.next)
      return { campaigns: found.campaigns.map(toCampaign), next }
    },
  )

  app.get<{ Params: Params }>(
    '/v1/campaigns/:id',
    { schema: show, config: { scope: 'read' } },
    async ({ params: { id } }, reply): Promise<Campaign> => {
      reply.header('cache-control', 'no-store')
      return toCampaign(await known(id))
    },
  )

  app.get<{ Params: Params; Querystring: PageQuery }>(
    '/v1/campaigns/:id/refused',
    { schema: showRefused, config: { scope: 'read' } },
    async ({ params: { id }, query }, reply): Promise<RefusedPage> => {
      const { limit = 100, page } = query
      const { number } = (await known(id)).campaign
      const after = page === undefined ? undefined : Number(page)
      const found = await queryCatalogue((signal) =>
        campaignRefusals(database, number, { limit, after }, signal),
      )
      reply.header('cache-control', 'no-store')
      const refused = found.refusals.map(({ line, asset_guid, code, sentence, excerpt }) => ({
        ...{ line, asset_guid, code, excerpt },
        detail: withoutPaths(sentence),
        ...remedyFor(code),
      }))
      return { refused, next: nextPage(`/v1/campaigns/${id}/refused`, query, found.next) }
    },
  )

  app.patch<{ Params: Params }>(
    '/v1/campaigns/:id',
    { schema: change, config: operating },
    async ({ params, body }): Promise<Campaign> =>
      campaigns.change(params.id, checkChange(documentIn(body, 'what to change'))),
  )

  app.post<{ Params: Params }>(
    '/v1/campaigns/:id/forecast',
    { schema: forecast, config: operating },
    async ({ params: { id }, caller }, reply): Promise<Campaign> => {
      reply.code(202)
      return await campaigns.forecast(id, caller)
    },
  )

  for (const name of ['start', 'pause', 'resume', 'cancel'] as const) {
    app.post<{ Params: Params }>(
      `/v1/campaigns/:id/${name}`,
      { schema: move(name), config: operating },
      async ({ params, body, caller }, reply): Promise<Campaign> => {
        const { reason = null } = checkReason(optionalDocumentIn(body))
        reply.code(202)
        return await campaigns.move(params.id, name, { by: caller, reason })
      },
    )
  }

  async function known(id: string) {
    const found = await queryCatalogue((signal) => findCampaign(database, id, signal))
    if (found === undefined) throw unknown(id)
    return found
  }
}

function wishOf(query: LinesQuery) {
  const {
    name = 'posted lines',
    derivative_assets: assets,
    start,
    weight,
    rate,
    tenant,
  } = query
  return {
    name,
    start: start === '1',
    ...(assets === undefined ? {} : { derivative_assets: assets.split(',') }),
    ...(weight === undefined ? {} : { weight }),
    ...(rate === undefined ? {} : { rate }),
    ...(tenant === undefined ? {} : { tenant }),
  }
}

function nextPage(path: string, query: PageQuery, next: number | undefined): string | null {
  return next === undefined ? null : `${path}?${searchOf({ ...query, page: next })}`
}
