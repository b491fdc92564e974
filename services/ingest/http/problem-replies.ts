import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { CSP } from '../auth/guard.ts'
import { drainRequest } from './drain-request.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

const OF_CONTENT = [
  ...['etag', 'last-modified', 'accept-ranges', 'content-disposition', 'content-encoding'],
  ...['content-length', 'location', 'vary'],
]
/** When to come again where nothing more exact is known, seconds. */
const AGAIN_SECONDS = 5

/** Has every error and every unknown address answered with a problem document. */
export function replyWithProblems(app: FastifyInstance): void {
  const routes = knownRoutes(app)
  app.setErrorHandler(replyWithProblem)
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.replace(/\?.*$/s, '')
    const methods = routes
      .filter(({ matches }) => matches.test(path))
      .map(({ method }) => method)
    // A file that is not below a known folder has the method, and is not there all the same.
    if (methods.length === 0 || methods.includes(request.method)) {
      throw new PermanentError(
        'NOT_FOUND',
        `${request.method} ${clip(path)} is no address of this service; GET / lists them.`,
      )
    }
    const allow = [...new Set(methods)].sort().join(', ')
    reply.header('allow', allow)
    throw new PermanentError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not possible at ${clip(path)}; expected ${allow}.`,
    )
  })
}

/** The answer to anything that a handler, a hook or fastify itself throws. */
export async function replyWithProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const problem = problemOf(explained(error, request), request.id)
  if (problem.status >= 500)
    request.log.error({ err: error, code: problem.code }, problem.detail)
  // What has not been read by now is not wanted: the connection is of no further use.
  if (!request.raw.complete) {
    reply.header('connection', 'close')
    await drainRequest(request.raw)
  }
  // What was said of a file or a document that is not sent after all.
  for (const name of OF_CONTENT) reply.removeHeader(name)
  if (problem.status !== 416) reply.removeHeader('content-range')
  reply.headers({ 'cache-control': 'no-store', 'content-security-policy': CSP })
  const isPassing = problem.status === 429 || problem.status === 503
  if (isPassing && !reply.hasHeader('retry-after')) reply.header('retry-after', AGAIN_SECONDS)
  if (problem.code === 'UNAUTHORIZED') reply.header('www-authenticate', 'Bearer')
  if (problem.code === 'SCOPE_MISSING') {
    // https://www.rfc-editor.org/rfc/rfc6750#section-3
    const { scope } = request.routeOptions.config
    reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
  }
  return reply.code(problem.status).type(PROBLEM_TYPE).send(JSON.stringify(problem))
}

/** Which content types an address takes is known to the route alone. */
function explained(error: unknown, request: FastifyRequest): unknown {
  if ((error as { code?: unknown }).code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return error
  const given = request.headers['content-type']
  const takes = request.routeOptions.config.takes ?? []
  const got = given === undefined ? 'there is none' : `got ${JSON.stringify(clip(given))}`
  const hint =
    given?.startsWith('application/x-www-form-urlencoded') && takes.includes('application/json')
      ? "; with curl -d add -H 'content-type: application/json'"
      : ''
  return new PermanentError(
    'WRONG_CONTENT_TYPE',
    `Content-Type: ${got}; expected ${takes.join(' or ') || 'no body'}${hint}.`,
    { at: 'header content-type' },
  )
}

function knownRoutes(app: FastifyInstance): readonly { method: string; matches: RegExp }[] {
  const routes: { method: string; matches: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    const pattern = url
      .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:\w+/g, '[^/]+')
      .replace(/\*/g, '.*')
    const matches = new RegExp(`^${pattern}$`)
    for (const each of [method].flat()) routes.push({ method: each, matches })
  })
  return routes
}

function clip(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
