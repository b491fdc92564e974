import type { FastifyInstance, FastifyReply } from 'fastify'
import { lately } from '#shared/async/lately.ts'
import { type Database, ping } from '#shared/catalogue/database.ts'
import { Health, Readiness } from '#shared/contracts/api/health.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import { jsonResponse, refused } from './responses.ts'

const tags = ['health']

/** Time limit of the query that checks the catalogue, ms. */
const LOOK_MS = 500
/** How long the result of a check is cached, ms. */
const READING_MS = 2000
const MEASURED_MS = 200

interface HealthDeps {
  readonly database: Database
  readonly metrics: Metrics
  /** The reason why jobs should go to another replica; undefined if they need not. */
  readonly unready: () => string | undefined
}

/** Registers GET /healthz, /readyz and /metrics. */
export async function healthRoutes(
  app: FastifyInstance,
  { database, unready, metrics }: HealthDeps,
): Promise<void> {
  const config = { public: true, unlimited: true } as const
  // However often the endpoint is called, the database is queried at most once in `READING_MS`.
  const isReading = lately(
    () =>
      ping(database, AbortSignal.timeout(LOOK_MS)).then(
        () => true,
        () => false,
      ),
    READING_MS,
  )
  const measurements = lately(() => metrics.expose(), MEASURED_MS)
  app.get(
    '/healthz',
    {
      config,
      schema: {
        operationId: 'getHealth',
        tags,
        summary: 'Check that the process lives',
        description: 'For a liveness probe. It asks neither Pub/Sub nor the catalogue.',
        response: { 200: jsonResponse('It does.', Health), ...refused },
      },
    },
    async (): Promise<Health> => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      config,
      schema: {
        operationId: 'getReadiness',
        tags,
        summary: 'Check that jobs are accepted',
        description:
          'For a readiness probe. While the catalogue is away, jobs are taken and lists are not served.',
        response: {
          200: jsonResponse(
            'Pub/Sub answers. `reading` says whether the catalogue does: jobs are taken without it, too.',
            Readiness,
          ),
          ...refused,
          503: jsonResponse('Jobs should go elsewhere; `reason` says why.', Readiness),
        },
      },
    },
    async (_request, reply: FastifyReply): Promise<Readiness> => {
      const reason = unready()
      const reading = await isReading()
      if (reason === undefined) return { accepting: true, reading }
      reply.code(503)
      return { accepting: false, reading, reason: withoutPaths(reason) }
    },
  )

  app.get(
    '/metrics',
    {
      config,
      schema: {
        operationId: 'getMetrics',
        tags,
        summary: 'Read the metrics',
        description: 'For Prometheus. docs/reference/numbers.md explains each metric.',
        response: {
          200: {
            description: "Prometheus' text format.",
            content: { 'text/plain': { schema: { type: 'string' } } },
          },
          ...refused,
        },
      },
    },
    async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await measurements()),
  )
}
