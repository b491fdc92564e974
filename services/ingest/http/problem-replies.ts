import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { CSP } from '../auth/guard.ts'
import { drainRequest } from './drain-request.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

const OF_CONTENT = [
  ...['etag', 'last-modified', 'accept-ranges', 'content-disposition', 'content-encoding'],
  ...['content-length', 'location', 'vary'],
]
/** Value of Retry-After where nothing more exact is known, seconds. */
const AGAIN_SECONDS = 5

/** Answers every error and every unknown address with a problem document. */
export function replyWithProblems(app: FastifyInstance): void {
  const routes = knownRoutes(app)
  app.setErrorHandler(replyWithProblem)
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.replace(/\?.*$/s, '')
    const methods = routes
      .filter(({ matches }) => matches.test(path))
      .map(({ method }) => method)
    // A missing file below a wildcard route allows the method and is still not found.
    if (methods.length === 0 || methods.includes(request.method)) {
      throw new HttpError(
        'NOT_FOUND',
        `${request.method} ${clip(path)} is no address of this service; GET / lists them.`,
      )
    }
    const allow = [...new Set(methods)].sort().join(', ')
    reply.header('allow', allow)
    throw new HttpError(
      'METHOD_NOT_ALLOWED',
      `${request.method} is not possible at ${clip(path)}; expected ${allow}.`,
    )
  })
}

/** Answers an error that was thrown by a handler, a hook or fastify itself. */
export async function replyWithProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const problem = problemOf(explained(error, request), request.id)
  if (problem.status >= 500)
    request.log.error({ err: error, code: problem.code }, problem.detail)
  // The rest of the body is not needed, so the connection cannot be used again.
  if (!request.raw.complete) {
    reply.header('connection', 'close')
    await drainRequest(request.raw)
  }
  // These headers describe the content that is not sent.
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

/** Replaces fastify's error for a wrong content type by one that names the types that the route accepts. */
function explained(error: unknown, request: FastifyRequest): unknown {
  if ((error as { code?: unknown }).code !== 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return error
  const given = request.headers['content-type']
  const takes = request.routeOptions.config.takes ?? []
  const got = given === undefined ? 'there is none' : `got ${JSON.stringify(clip(given))}`
  const hint =
    given?.startsWith('application/x-www-form-urlencoded') && takes.includes('application/json')
      ? "; with curl -d add -H 'content-type: application/json'"
      : ''
  return new HttpError(
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
