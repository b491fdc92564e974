import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Derivative } from '#shared/assets/definition.ts'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import {
  COST_FIGURES,
  type CostFigures,
  type KeptCost,
  readCosts,
} from '#shared/catalogue/figures/costs.ts'
import { COST_KEYS, type CostLine, Costs } from '#shared/contracts/api/costs.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { computeUsd } from '#shared/contracts/prices.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const DAY_MS = 86_400_000
/** The usual window, days. */
const DEFAULT_DAYS = 30
const MAX_DAYS = 366
/** The length of a track at which the costs of assets are compared, s. */
const TYPICAL_SECONDS = 210

const Query = Type.Object(
  {
    by: Type.Optional(
      Type.Enum(COST_KEYS, { description: 'What they are summed by; `tenant` when absent.' }),
    ),
    from: Type.Optional(
      Type.String({
        format: 'date',
        description: 'The first day (UTC), e.g. 2026-03-01; by default 29 days before `to`.',
      }),
    ),
    to: Type.Optional(
      Type.String({ format: 'date', description: 'The last day, included; by default today.' }),
    ),
  },
  { additionalProperties: false },
)
type Query = Static<typeof Query>

const schema = {
  operationId: 'getCosts',
  tags: ['numbers'],
  summary: 'Show what work has cost, by tenant, asset, campaign or route',
  description: [
    'What steps have taken on the days of a window, as their events report it: repeated and failed attempts count as well.',
    'What one step made of several assets is divided by what their definitions state that each costs.',
  ].join(' '),
  querystring: Query,
  response: {
    200: jsonResponse('The costs.', Costs),
    ...refused,
  },
}

/** GET /v1/costs. */
export async function costRoutes(
  app: FastifyInstance,
  { database, registry }: { readonly database: Database; readonly registry: Registry },
): Promise<void> {
  app.get<{ Querystring: Query }>(
    '/v1/costs',
    { schema, config: { scope: 'read' } },
    async ({ query }, reply): Promise<Costs> => {
      const { by = 'tenant' } = query
      const days = daysOf(query)
      const kept = await queryCatalogue((signal) => readCosts(database, by, days, signal))
      reply.header('cache-control', 'no-store')
      const named = by === 'asset' ? byAsset(kept, registry) : kept
      const sorted = named.toSorted((a, b) => b.core_ms - a.core_ms)
      return {
        by,
        ...days,
        costs: sorted.map((cost) => ({ name: cost.name || null, ...shown(cost) })),
        sum: shown(sum(kept)),
      }
    },
  )
}

/** @throws HttpError BAD_REQUEST when the window is empty or longer than 366 days. */
function daysOf({ from, to }: Query): { readonly from: string; readonly to: string } {
  const last = to ?? dayOf(Date.now())
  const first = from ?? dayOf(Date.parse(last) - (DEFAULT_DAYS - 1) * DAY_MS)
  const days = (Date.parse(last) - Date.parse(first)) / DAY_MS
  if (days >= 0 && days < MAX_DAYS) return { from: first, to: last }
  const why = days < 0 ? 'after' : `${MAX_DAYS} days or more before`
  throw new HttpError('BAD_REQUEST', `from, ${first}, is ${why} to, ${last}.`, { at: '/from' })
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** Divides what steps have taken for several assets. */
function byAsset(kept: readonly KeptCost[], registry: Registry): KeptCost[] {
  const parts = new Map<string, CostFigures[]>()
  for (const cost of kept) {
    const ids = cost.name.split(',')
    const weights = ids.map((id) => usualMs(registry.get(id)))
    const all = weights.reduce((total, each) => total + each, 0)
    for (const [index, id] of ids.entries()) {
      const part = scaled(cost, (weights[index] ?? 0) / all)
      parts.set(id, [...(parts.get(id) ?? []), part])
    }
  }
  return [...parts].map(([name, costs]) => ({ name, ...sum(costs) }))
}

/** What an asset of a usual track costs by its definition, core-milliseconds; one that is gone: as much as a cheap one. */
function usualMs(asset: Derivative | undefined): number {
  if (asset === undefined) return 1000
  const { fixedMs, msPerSecond, mostMs = Number.MAX_VALUE } = asset.cost
  return Math.max(1, Math.min(mostMs, fixedMs + msPerSecond * TYPICAL_SECONDS))
}

function scaled(cost: CostFigures, share: number): CostFigures {
  const pairs = COST_FIGURES.map((name) => [name, cost[name] * share] as const)
  return Object.fromEntries(pairs) as unknown as CostFigures
}

function sum(costs: readonly CostFigures[]): CostFigures {
  const pairs = COST_FIGURES.map(
    (name) => [name, costs.reduce((total, cost) => total + cost[name], 0)] as const,
  )
  return Object.fromEntries(pairs) as unknown as CostFigures
}

function shown(cost: CostFigures): Omit<CostLine, 'name'> {
  const coreSeconds = cost.core_ms / 1000
  return {
    steps: rounded(cost.count),
    seconds: rounded(cost.ms / 1000),
    core_seconds: rounded(coreSeconds),
    compute_usd: rounded(computeUsd(coreSeconds)),
    bytes_read: Math.round(cost.bytes_read),
    bytes_written: Math.round(cost.bytes_written),
    bytes_from_cloud: Math.round(cost.bytes_from_cloud),
    bytes_to_cloud: Math.round(cost.bytes_to_cloud),
    store_operations: rounded(cost.store_operations),
  }
}

/** To four places. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
