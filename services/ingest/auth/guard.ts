import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ConfigError } from '#shared/contracts/errors/config.ts'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { isLoopback, refusal } from '#shared/frame/door.ts'
import { type Config, SCOPES, type Scope } from '#shared/frame/settings.ts'
import { type Access, ANYBODY } from './access.ts'
import { clientAddresses, type ProxySettings } from './client-address.ts'
import { answerOrigins, type Origins, preflight } from './cors.ts'
import type { Caller } from './identity.ts'
import { createRate } from './rate.ts'
import { checkHead } from './request-head.ts'

/** Responses other than the page's own may not load anything, may not be framed, and have no guessed type. */
export const CSP = "default-src 'none'; frame-ancestors 'none'"
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': CSP,
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  // For browsers that do not support frame-ancestors.
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
} as const

/**
 * Refuses to expose an API without authentication.
 * @throws ConfigError when authentication is off and `host` is not loopback
 */
export function assertNotExposed({ host }: Pick<Config, 'host'>, { isGuarded }: Access): void {
  if (isGuarded || isLoopback(host)) return
  const wrong =
    `is ${host}, which others can reach, and both TRACKCHAIN_TOKENS and TRACKCHAIN_OIDC are empty: everyone could use the API. ` +
    'Set TRACKCHAIN_TOKENS to a JSON array of the sha256 (hex) of each bearer token, or TRACKCHAIN_OIDC to an issuer (docs/reference/api.md), or bind to 127.0.0.1.'
  throw new ConfigError([{ variable: 'TRACKCHAIN_HOST', wrong }])
}

/**
 * Authorizes every request: the caller needs a token with the route's scope or, where authentication is off,
 * has to be a program on this machine. Requests from pages of other sites in a browser on this machine are
 * refused, also if the site's name was made to resolve to loopback, unless their origin is one of `origins`. Routes
 * with `public: true` need no token.
 * Requests count towards the rate limit of the caller; without a valid token, towards that of the client's
 * address.
 */
export function requireScope(
  app: FastifyInstance,
  access: Access,
  origins: Origins,
  { rate_limit_per_minute, ...proxies }: ProxySettings & Pick<Config, 'rate_limit_per_minute'>,
): void {
  const rate = createRate(rate_limit_per_minute)
  const addressOf = clientAddresses(proxies)
  answerOrigins(app, origins)
  app.decorateRequest('caller', '')
  app.decorateRequest('client', '')
  app.decorateRequest('tenant', undefined)
  app.decorateRequest('mayOperate', false)
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.public === true || config?.scope !== undefined || !url.startsWith('/v1/'))
      return
    throw new Error(`the route ${url} does not say who may use it`)
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    checkHead(request.raw)
    const names = access.isGuarded ? 'any' : 'own'
    const { public: isPublic, scope, unlimited, embeds = false } = request.routeOptions.config
    const pages = { mayLink: true, isAllowed: origins.has, mayEmbed: embeds }
    const refused = refusal(request.raw, { names, ...pages })
    if (refused) throw new HttpError('FORBIDDEN', refused.sentence, { at: refused.at })
    const permitted = preflight(request.raw, origins)
    if (permitted) return reply.code(204).headers(permitted).send()
    request.client = `address ${addressOf(request.raw)}`
    if (unlimited) return
    const isOpen = isPublic === true || request.is404
    const caller = await callerOf(request).catch((error) => {
      if (isOpen) return undefined
      // A request without a valid token counts towards the limit of its own address only.
      count(request, reply)
      throw error
    })
    if (caller !== undefined && access.isGuarded) request.client = `caller ${caller.name}`
    count(request, reply)
    if (isOpen || caller === undefined) return
    // A route that names no scope requires all scopes.
    for (const needed of scope === undefined ? SCOPES : [scope]) checkScope(caller, needed)
    request.caller = caller.name
    request.tenant = caller.tenant
    request.mayOperate = caller.scopes.includes('operate')
  })

  async function callerOf(request: FastifyRequest): Promise<Caller> {
    return access.isGuarded ? await access.callerOf(bearerOf(request)) : ANYBODY
  }

  /** Counts the request towards its limit. @throws HttpError TOO_MANY_REQUESTS */
  function count({ client }: FastifyRequest, reply: FastifyReply): void {
    const seconds = rate.take(client)
    if (seconds === 0) return
    reply.header('retry-after', seconds)
    throw new HttpError(
      'TOO_MANY_REQUESTS',
      `More than ${rate_limit_per_minute} requests in a minute; the next are taken in ${seconds} s.`,
    )
  }
}

/** The bearer token of a request. @throws HttpError UNAUTHORIZED when there is none */
function bearerOf({ headers: { authorization } }: FastifyRequest): string {
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '')?.[1]
  if (token !== undefined) return token
  const got = authorization === undefined ? 'is missing' : 'is of another kind'
  throw new HttpError('UNAUTHORIZED', `Authorization ${got}; expected a bearer token.`, {
    at: 'header authorization',
  })
}

function checkScope({ name, scopes }: Caller, needed: Scope): void {
  if (scopes.includes(needed)) return
  const has = scopes.length === 0 ? 'no scope here' : scopes.join(', ')
  throw new HttpError('SCOPE_MISSING', `This needs the scope ${needed}; ${name} has ${has}.`, {
    at: 'header authorization',
  })
}
