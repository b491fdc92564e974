import type { FastifyInstance, FastifyReply } from 'fastify'
import { lately } from '#shared/async/lately.ts'
import { withoutPaths } from '#shared/contracts/errors/without-paths.ts'
import type { HttpDeps } from './route-config.ts'

/** Time limit of the query that checks the catalogue, ms. */
const LOOK_MS = 500
/** How long the result of a check is cached, ms. */
const READING_MS = 2000
const MEASURED_MS = 200

/** Registers GET /healthz, /readyz and /metrics. */
export async function healthRoutes(app: FastifyInstance, deps: HttpDeps): Promise<void> {
  const { catalogue, unready, metrics } = deps
  const config = { public: true, unlimited: true } as const
  // However often the endpoint is called, the database is queried at most once in `READING_MS`.
  const isReading = lately(
    () =>
      catalogue.ping(AbortSignal.timeout(LOOK_MS)).then(
        () => true,
        () => false,
      ),
    READING_MS,
  )
  const measurements = lately(() => metrics.expose(), MEASURED_MS)
  const schema = (summary: string, description: string, type = 'application/json') => ({
    tags: ['health'],
    summary,
    response: { 200: { description, content: { [type]: { schema: {} } } } },
  })

  app.get(
    '/healthz',
    { config, schema: schema('Whether the process lives', 'It does.') },
    async () => ({ status: 'ok' }),
  )

  app.get(
    '/readyz',
    {
      config,
      schema: schema(
        'Whether jobs are taken',
        'Pub/Sub answers. `reading` says whether the catalogue does: jobs are taken without it, too. 503, with the reason, when jobs should go elsewhere.',
      ),
    },
    async (_request, reply: FastifyReply) => {
      const reason = unready()
      const reading = await isReading()
      if (reason === undefined) return { accepting: true, reading }
      return reply.code(503).send({ accepting: false, reading, reason: withoutPaths(reason) })
    },
  )

  app.get(
    '/metrics',
    { config, schema: schema('Measurements', "Prometheus' text format.", 'text/plain') },
    async (_request, reply) =>
      reply.type('text/plain; version=0.0.4; charset=utf-8').send(await measurements()),
  )
}
