import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Config, SCOPES, type Scope } from '#shared/config.ts'
import { isLoopback, refusal } from '#shared/door.ts'
import { PermanentError } from '#shared/errors.ts'
import { type Access, ANYBODY, type Caller } from '../access.ts'

/** Beside the host's own pages nothing is to be loaded, framed or guessed. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  // For browsers that do not know frame-ancestors.
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
} as const

/**
 * @throws Error when the API would be open to anybody: where nobody is asked who he is, it may be bound to loopback only.
 */
export function checkDoor({ host }: Pick<Config, 'host'>, { isGuarded }: Access): void {
  if (isGuarded || isLoopback(host)) return
  throw new Error(
    `TRACKCHAIN_HOST is ${host}, which others can reach, and both TRACKCHAIN_TOKENS and TRACKCHAIN_OIDC are empty: anybody could use the API. ` +
      'Set TRACKCHAIN_TOKENS to a JSON array of the sha256 (hex) of each bearer token, or TRACKCHAIN_OIDC to an issuer (docs/api.md), or bind to 127.0.0.1.',
  )
}

/**
 * Decides who may come in: whoever has a token with the scope that the address needs or, where none are configured,
 * programs on this machine. Pages of other sites in a browser on this machine are kept out, also those whose name was
 * made to resolve to loopback. Routes with `public: true` need no token.
 */
export function guardDoor(app: FastifyInstance, access: Access): void {
  app.decorateRequest('caller', '')
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.public === true || config?.scope !== undefined || !url.startsWith('/v1/'))
      return
    throw new Error(`the route ${url} does not say who may use it`)
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    const names = access.isGuarded ? 'any' : 'own'
    const refused = refusal(request.raw, { names, mayLink: true })
    if (refused) throw new PermanentError('FORBIDDEN', refused.sentence, { at: refused.at })
    const { public: isPublic, scope } = request.routeOptions.config
    if (isPublic || request.is404) return
    const caller = access.isGuarded ? await access.callerOf(bearerOf(request)) : ANYBODY
    // Whatever says nothing needs all of them.
    for (const needed of scope === undefined ? SCOPES : [scope]) checkScope(caller, needed)
    request.caller = caller.name
  })
}

/** @throws PermanentError UNAUTHORIZED when there is none. */
function bearerOf({ headers: { authorization } }: FastifyRequest): string {
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '')?.[1]
  if (token !== undefined) return token
  const got = authorization === undefined ? 'is missing' : 'is of another kind'
  throw new PermanentError('UNAUTHORIZED', `Authorization ${got}; expected a bearer token.`, {
    at: 'header authorization',
  })
}

function checkScope({ name, scopes }: Caller, needed: Scope): void {
  if (scopes.includes(needed)) return
  const has = scopes.length === 0 ? 'no scope here' : scopes.join(', ')
  throw new PermanentError(
    'SCOPE_MISSING',
    `This needs the scope ${needed}; ${name} has ${has}.`,
    { at: 'header authorization' },
  )
}
