import { randomUUID } from 'node:crypto'
import type { Socket } from 'node:net'
import multipart from '@fastify/multipart'
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import type { TSchema } from 'typebox'
import type { Registry } from '#shared/assets/registry.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { badRequest } from '#shared/contracts/errors/http.ts'
import { compile } from '#shared/contracts/validator.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import type { Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import type { Access } from './auth/access.ts'
import { allowedOrigins } from './auth/cors.ts'
import { requireScope } from './auth/guard.ts'
import type { CampaignActions } from './campaigns/actions.ts'
import { campaignRoutes } from './campaigns/routes.ts'
import type { Cancelling } from './cancel/cancelling.ts'
import type { CancellationFeed } from './cancel/feed.ts'
import { cancelRoutes } from './cancel/routes.ts'
import type { LetterActions } from './dead-letters/redrive.ts'
import { deadLetterRoutes } from './dead-letters/routes.ts'
import { boardRoutes, cachedBoard } from './figures/board-routes.ts'
import { costRoutes } from './figures/cost-routes.ts'
import { kpiRoutes } from './figures/kpi-routes.ts'
import { liveRoutes } from './figures/live-routes.ts'
import { staleRoutes } from './figures/stale-routes.ts'
import { checkAddresses } from './http/address.ts'
import type { BodySpeed } from './http/bodies.ts'
import { limitBodies } from './http/bodies.ts'
import { onClientError } from './http/client-error.ts'
import { awaitsContinue, holdContinue, releaseContinue } from './http/drain-request.ts'
import { healthRoutes } from './http/health.ts'
import { inflateBodies } from './http/inflate.ts'
import { describeApi } from './http/openapi.ts'
import { replyWithProblem, replyWithProblems } from './http/problem-replies.ts'
import { withNumbers } from './http/query.ts'
import type { Submissions } from './jobs/submit-job.ts'
import type { Replacements } from './masters/replacements.ts'
import type { Uploads } from './masters/uploads.ts'
import './http/route-config.ts'
import { pageRoutes } from './http/serve-page.ts'
import { jobRoutes } from './jobs/routes.ts'
import { jobStatusRoutes } from './jobs/status-routes.ts'
import { masterRoutes } from './masters/routes.ts'
import { referenceRoutes } from './reference/routes.ts'
import { releaseRoutes } from './releases/routes.ts'
import { assetRoutes } from './tracks/asset-routes.ts'
import { linkRoutes } from './tracks/link-routes.ts'
import type { LinkSigner } from './tracks/link-signer.ts'
import { trackListRoutes } from './tracks/list-routes.ts'
import { trackRoutes } from './tracks/routes.ts'

/** What the routes need, each some of it. */
interface HttpDeps {
  readonly config: Pick<
    Config,
    | 'max_upload_mib'
    | 'rate_limit_per_minute'
    | 'trusted_proxies'
    | 'proxy_hops'
    | 'max_bodies'
    | 'max_streams'
    | 'cors_origins'
  >
  /** Minimum speed of a body. Default: a kilobyte a second. */
  readonly slowest?: BodySpeed
  readonly access: Access
  readonly submissions: Submissions
  readonly letterActions: LetterActions
  readonly campaigns: CampaignActions
  readonly cancelling: Cancelling
  readonly cancellations: CancellationFeed
  readonly replacements: Replacements
  readonly database: Database
  readonly registry: Registry
  readonly assets: StoreDriver
  readonly links: LinkSigner
  readonly uploads: Uploads
  readonly metrics: Metrics
  /**
   * The reason why jobs should go to another replica: Pub/Sub does not answer, or this process is stopping.
   * Otherwise undefined.
   */
  readonly unready: () => string | undefined
  /** Aborts when requests under way have to be given up. */
  readonly aborting: AbortSignal
}

/** A connection without traffic is closed after this time, ms. */
const IDLE_MS = 60_000
/** Time limit for the headers of a request, also of the first one on a connection, ms. */
const HEAD_MS = 20_000
/** While closing, a connection that has carried no request yet stays open until it is this old, ms. */
const UNUSED_MS = 1_000

/** The HTTP API as a fastify instance that does not listen yet. */
export async function createApp(deps: HttpDeps, log: Log): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: log as FastifyBaseLogger,
    // `measure` logs one line per request instead.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    forceCloseConnections: 'idle',
    connectionTimeout: IDLE_MS,
    keepAliveTimeout: IDLE_MS,
    http: { headersTimeout: HEAD_MS, connectionsCheckingInterval: HEAD_MS / 4 },
    routerOptions: { maxParamLength: 1024 },
    clientErrorHandler: onClientError,
    frameworkErrors: (error, request, reply) => void replyWithProblem(error, request, reply),
  })
  app.setValidatorCompiler(validator)
  app.setSerializerCompiler(() => JSON.stringify)
  app.removeAllContentTypeParsers()
  replyWithProblems(app)
  measure(app, deps, log)
  holdBodies(app)
  closeWhenIdle(app)
  sendElsewhere(app, deps)
  requireScope(app, deps.access, allowedOrigins(deps.config, deps.access), deps.config)
  limitBodies(app, { most: deps.config.max_bodies, slowest: deps.slowest })
  inflateBodies(app)
  checkAddresses(app)
  await describeApi(app, deps.access.isGuarded)
  await app.register(multipart)
  for (const routes of [
    jobRoutes,
    jobStatusRoutes,
    cancelRoutes,
    campaignRoutes,
    releaseRoutes,
    masterRoutes,
    trackListRoutes,
    trackRoutes,
    assetRoutes,
    linkRoutes,
    kpiRoutes,
    staleRoutes,
    costRoutes,
    deadLetterRoutes,
    referenceRoutes,
    healthRoutes,
    pageRoutes,
  ]) {
    await app.register((inner) => routes(inner, deps))
  }
  const currentBoard = cachedBoard(deps)
  await app.register((inner) => boardRoutes(inner, { currentBoard }))
  await app.register((inner) =>
    liveRoutes(inner, { ...deps, currentBoard, maxStreams: deps.config.max_streams }),
  )
  return app
}

/** Validates paths, queries and headers by the schemas of the routes. Bodies are validated by their contracts. */
function validator({ schema, httpPart }: { schema: unknown; httpPart?: string }) {
  if (httpPart === 'body') return () => true
  const what = httpPart === 'params' ? 'the path' : `the ${httpPart}`
  const check = compile<unknown>(schema as TSchema, what, badRequest)
  const isQuery = httpPart === 'querystring'
  return (value: unknown) => {
    try {
      return { value: check(isQuery ? withNumbers(value, schema as TSchema) : value) }
    } catch (error) {
      return { error: error as Error }
    }
  }
}

/** Logs one line and records one measurement for each request. */
function measure(app: FastifyInstance, { metrics }: HttpDeps, log: Log): void {
  app.addHook('onResponse', async (request, reply) => {
    const ms = Math.round(reply.elapsedTime)
    const { method } = request
    const route = request.routeOptions.url ?? 'unknown'
    metrics.httpSeconds.record(ms / 1000, {
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': reply.statusCode,
    })
    const line = { method, route, status: reply.statusCode, ms, request: request.id }
    // The query is left out, because it may contain a secret.
    const path = request.url.slice(0, 200).replace(/\?.*$/s, '')
    if (reply.statusCode >= 400) log.info({ ...line, url: path }, 'http')
    else log.debug(line, 'http')
  })
}

/** Answers `Expect: 100-continue` only after the headers of the request have passed every check. */
function holdBodies(app: FastifyInstance): void {
  app.server.on('checkContinue', (request, response) => {
    holdContinue(request)
    app.server.emit('request', request, response)
  })
  app.addHook('preParsing', async (request, reply) => {
    if (!awaitsContinue(request.raw)) return
    releaseContinue(request.raw)
    reply.raw.writeContinue()
  })
}

/**
 * While closing, closes connections as soon as they are idle. This includes connections that never carried a
 * request, which Node takes for busy: browsers open such connections, and so does fetch after a stream was
 * aborted.
 */
function closeWhenIdle(app: FastifyInstance): void {
  const unused = new Map<Socket, number>()
  app.server.on('connection', (socket) => {
    unused.set(socket, performance.now())
    socket.once('close', () => unused.delete(socket))
  })
  app.server.on('request', ({ socket }) => unused.delete(socket))
  const close = () => {
    app.server.closeIdleConnections()
    for (const [socket, since] of unused) {
      if (performance.now() - since > UNUSED_MS) socket.destroy()
    }
  }
  let sweep: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    sweep = setInterval(close, 50)
    app.server.once('close', () => clearInterval(sweep))
  })
}

/**
 * While this process is unready, closes connections after each response, so that the load balancer can choose
 * another replica.
 */
function sendElsewhere(app: FastifyInstance, { unready }: HttpDeps): void {
  app.addHook('onSend', async (_request, reply) => {
    if (unready() !== undefined) reply.header('connection', 'close')
  })
}
