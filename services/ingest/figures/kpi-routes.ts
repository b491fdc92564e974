import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Kpis } from '#shared/catalogue/jobs/jobs.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { refused } from '../http/problem.ts'
import { reading } from '../http/query.ts'
import type { HttpDeps } from '../http/route-config.ts'

const DEFAULT_MS = 15 * 60_000
const MAX_MS = 31 * 24 * 3600_000

const Instant = (description: string) =>
  Type.Optional(Type.String({ format: 'date-time', description }))

const Window = Type.Object(
  {
    from: Instant('ISO 8601; 15 minutes before `to` unless told.'),
    to: Instant('ISO 8601; now unless told.'),
  },
  { additionalProperties: false },
)
type Window = Static<typeof Window>

const EXAMPLE = {
  ...{ from: '2026-03-01T10:00:00.000Z', to: '2026-03-01T10:15:00.000Z', seconds: 900 },
  ...{ completions: 3600, completions_per_minute: 240, assets_made: 3600, assets_failed: 9 },
  ...{ success_rate: 0.9975, failure_rate: 0.0025, concurrency: 11.4, tracks_completed: 902 },
  ...{ collected: 0, requeued: 3, recorded: 4530, dead_lettered: 9, swept: 0, skipped: 12 },
  ...{ core_seconds: 5412.5, core_seconds_per_track: 6.001 },
  steps: [
    {
      ...{ step: 'encode', count: 905, p50_ms: 4120, p95_ms: 5630, p99_ms: 6204 },
      ...{ longest_ms: 9120, over_budget: 0, over_hard_limit: 0, core_ms: 3729000 },
    },
  ],
}

const schema = {
  tags: ['numbers'],
  summary: 'See what was done between two instants',
  description: [
    'Completions are rows of assets, counted once however often a step was repeated; the rest is counted from events.',
    '`concurrency`: steps under way at once, on average. `core_seconds` as far as steps know theirs.',
    'A rate is null when there was nothing to rate.',
  ].join(' '),
  querystring: Window,
  response: {
    200: {
      description: 'The figures.',
      content: {
        'application/json': {
          schema: { type: 'object', additionalProperties: true, examples: [EXAMPLE] },
        },
      },
    },
    ...refused,
  },
}

/** GET /v1/kpis. */
export async function kpiRoutes(app: FastifyInstance, { catalogue }: HttpDeps): Promise<void> {
  app.get<{ Querystring: Window }>(
    '/v1/kpis',
    { schema, config: { scope: 'read' } },
    async ({ query }, reply) => {
      const [from, to] = windowOf(query)
      const found = await reading((signal) => catalogue.kpis(from, to, signal))
      reply.header('cache-control', 'no-store')
      return told(found, from, to)
    },
  )
}

/** @throws PermanentError BAD_REQUEST when it is empty or longer than 31 days. */
function windowOf({ from, to }: Window): readonly [Date, Date] {
  const end = to === undefined ? new Date() : new Date(to)
  const begin = from === undefined ? new Date(end.getTime() - DEFAULT_MS) : new Date(from)
  const ms = end.getTime() - begin.getTime()
  if (ms > 0 && ms <= MAX_MS) return [begin, end]
  const why = ms > 0 ? 'more than 31 days before' : 'not before'
  throw new PermanentError(
    'BAD_REQUEST',
    `from, ${begin.toISOString()}, is ${why} to, ${end.toISOString()}.`,
    { at: '/from' },
  )
}

function told(kpis: Kpis, from: Date, to: Date): object {
  const { made, failed, tracks, collected, requeued, swept, skipped } = kpis
  const seconds = (to.getTime() - from.getTime()) / 1000
  const sum = (figure: (step: Kpis['steps'][number]) => number) =>
    kpis.steps.reduce((total, step) => total + figure(step), 0)
  const coreSeconds = sum(({ coreMs }) => coreMs) / 1000
  return {
    ...{ from, to, seconds, completions: made },
    completions_per_minute: rounded(made / (seconds / 60)),
    success_rate: ratio(made, made + failed),
    failure_rate: ratio(failed, made + failed),
    concurrency: rounded(sum(({ sumMs }) => sumMs) / 1000 / seconds),
    ...{ collected, requeued, recorded: kpis.events, assets_made: made },
    ...{ assets_failed: failed, tracks_completed: tracks, dead_lettered: kpis.deadLettered },
    ...{ swept, skipped, core_seconds: rounded(coreSeconds) },
    core_seconds_per_track: ratio(coreSeconds, tracks),
    steps: kpis.steps.map(stepTold),
  }
}

function stepTold(figures: Kpis['steps'][number]): object {
  const { step, count, p50Ms, p95Ms, p99Ms, longestMs, overBudget, overHardLimit } = figures
  return {
    ...{ step, count, p50_ms: p50Ms, p95_ms: p95Ms, p99_ms: p99Ms, longest_ms: longestMs },
    ...{ over_budget: overBudget, over_hard_limit: overHardLimit, core_ms: figures.coreMs },
  }
}

function ratio(part: number, whole: number): number | null {
  return whole === 0 ? null : rounded(part / whole)
}

/** To four places: enough to tell one failure in a thousand. */
function rounded(value: number): number {
  return Math.round(value * 10_000) / 10_000
}
