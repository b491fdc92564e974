import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Database } from '#shared/catalogue/database.ts'
import { type Kpis as Counts, readKpis } from '#shared/catalogue/figures/kpis.ts'
import { type KpiStep, Kpis } from '#shared/contracts/api/kpis.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { queryCatalogue } from '../http/query.ts'
import { jsonResponse, refused } from '../http/responses.ts'

const DEFAULT_MS = 15 * 60_000
const MAX_MS = 31 * 24 * 3600_000

const Instant = (description: string) =>
  Type.Optional(Type.String({ format: 'date-time', description }))

const Window = Type.Object(
  {
    from: Instant('ISO 8601; by default 15 minutes before `to`.'),
    to: Instant('ISO 8601; by default now.'),
  },
  { additionalProperties: false },
)
type Window = Static<typeof Window>

const schema = {
  operationId: 'getKpis',
  tags: ['numbers'],
  summary: 'Show the KPIs between two instants',
  description: [
    'Completions are rows of assets, counted once however often a step was repeated; the rest is counted from events.',
    '`concurrency`: steps under way at once, on average. `core_seconds` as far as steps know theirs.',
    'A rate is null when there was nothing to rate.',
  ].join(' '),
  querystring: Window,
  response: {
    200: jsonResponse('The figures.', Kpis),
    ...refused,
  },
}

/** GET /v1/kpis. */
export async function kpiRoutes(
  app: FastifyInstance,
  { database }: { readonly database: Database },
): Promise<void> {
  app.get<{ Querystring: Window }>(
    '/v1/kpis',
    { schema, config: { scope: 'read' } },
    async ({ query }, reply): Promise<Kpis> => {
      const [from, to] = windowOf(query)
      const found = await queryCatalogue((signal) => readKpis(database, from, to, signal))
      reply.header('cache-control', 'no-store')
      return toKpis(found, from, to)
    },
  )
}

/** @throws HttpError BAD_REQUEST when it is empty or longer than 31 days. */
function windowOf({ from, to }: Window): readonly [Date, Date] {
  const end = to === undefined ? new Date() : new Date(to)
  const begin = from === undefined ? new Date(end.getTime() - DEFAULT_MS) : new Date(from)
  const ms = end.getTime() - begin.getTime()
  if (ms > 0 && ms <= MAX_MS) return [begin, end]
  const why = ms > 0 ? 'more than 31 days before' : 'not before'
  throw new HttpError(
    'BAD_REQUEST',
    `from, ${begin.toISOString()}, is ${why} to, ${end.toISOString()}.`,
    { at: '/from' },
  )
}

function toKpis(kpis: Counts, from: Date, to: Date): Kpis {
  const { made, failed, tracks, collected, requeued, swept, skipped } = kpis
  const seconds = (to.getTime() - from.getTime()) / 1000
  const sum = (figure: (step: Counts['steps'][number]) => number) =>
    kpis.steps.reduce((total, step) => total + figure(step), 0)
  const coreSeconds = sum(({ coreMs }) => coreMs) / 1000
  return {
    from: from.toISOString(),
    to: to.toISOString(),
    seconds,
    completions: made,
    completions_per_minute: rounded(made / (seconds / 60)),
    success_rate: ratio(made, made + failed),
    failure_rate: ratio(failed, made + failed),
    concurrency: rounded(sum(({ sumMs }) => sumMs) / 1000 / seconds),
    collected,
    requeued,
    recorded: kpis.events,
    assets_made: made,
    assets_failed: failed,
    tracks_completed: tracks,
    dead_lettered: kpis.deadLettered,
    swept,
    skipped,
    core_seconds: rounded(coreSeconds),
    core_seconds_per_track: ratio(coreSeconds, tracks),
    steps: kpis.steps.map(toKpiStep),
  }
}

function toKpiStep(figures: Counts['steps'][number]): KpiStep {
  const { step, count, p50Ms, p95Ms, p99Ms, longestMs, overBudget, overHardLimit } = figures
  return {
    step,
    count,
    p50_ms: p50Ms,
    p95_ms: p95Ms,
    p99_ms: p99Ms,
    longest_ms: longestMs,
    over_budget: overBudget,
    over_hard_limit: overHardLimit,
    core_ms: figures.coreMs,
  }
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : rounded(part / whole)
}

/** To four places: enough to tell one failure in a thousand. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
