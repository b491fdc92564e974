import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '#shared/config.ts'
import { PermanentError } from '#shared/errors.ts'

/** Beside the host's own pages nothing is to be loaded, framed or guessed. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
} as const

/**
 * @throws Error when the API would be open to anybody: without tokens it may be bound to loopback only.
 */
export function checkDoor({ host, tokens }: Pick<Config, 'host' | 'tokens'>): void {
  if (tokens.length > 0 || isLoopback(host)) return
  throw new Error(
    `TRACKCHAIN_HOST is ${host}, which others can reach, and TRACKCHAIN_TOKENS is empty: anybody could use the API. ` +
      'Set TRACKCHAIN_TOKENS to a JSON array of the sha256 (hex) of each bearer token, or bind to 127.0.0.1.',
  )
}

/**
 * Decides who may come in: whoever has a token or, where none are configured, programs on this machine.
 * Pages of other sites in a browser on this machine are kept out, also those whose name was made to
 * resolve to loopback. Routes with `public: true` need no token.
 */
export function guardDoor(app: FastifyInstance, { tokens }: Pick<Config, 'tokens'>): void {
  const known = tokens.map((token) => Buffer.from(token, 'hex'))
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(HEADERS)
    refuseOtherSites(request)
    if (known.length === 0) refuseOtherNames(request)
    else if (!request.routeOptions.config.public && !request.is404) checkToken(request, known)
  })
}

function checkToken(request: FastifyRequest, known: readonly Buffer[]): void {
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(request.headers.authorization ?? '')?.[1]
  if (token === undefined) {
    const got =
      request.headers.authorization === undefined ? 'is missing' : 'is of another kind'
    throw new PermanentError('UNAUTHORIZED', `Authorization ${got}; expected a bearer token.`, {
      at: 'header authorization',
    })
  }
  const digest = createHash('sha256').update(token).digest()
  // All are compared, so that the time taken says nothing.
  const matching = known.filter((each) => timingSafeEqual(each, digest))
  if (matching.length > 0) return
  throw new PermanentError('UNAUTHORIZED', 'The bearer token is not one of those configured.', {
    at: 'header authorization',
  })
}

/** DNS rebinding: a page whose own name resolves to loopback sends that name as Host. */
function refuseOtherNames({ headers }: FastifyRequest): void {
  if (isLoopback((headers.host ?? '').replace(/:\d+$/, ''))) return
  throw new PermanentError(
    'FORBIDDEN',
    `Host is ${JSON.stringify(headers.host?.slice(0, 200) ?? '')}; without tokens only localhost, 127.0.0.1 or [::1] is expected.`,
    { at: 'header host' },
  )
}

/** A form on any page can POST anywhere; only reading the answer would need CORS. */
function refuseOtherSites({ method, headers }: FastifyRequest): void {
  if (method === 'GET' || method === 'HEAD') return
  const site = headers['sec-fetch-site']
  const { origin } = headers
  const isOwn =
    site !== undefined
      ? site === 'same-origin' || site === 'none'
      : origin === undefined || hostOf(origin) === headers.host?.toLowerCase()
  if (isOwn) return
  throw new PermanentError('FORBIDDEN', 'The request comes from a page of another site.', {
    at: site === undefined ? 'header origin' : 'header sec-fetch-site',
  })
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|(?:[a-z0-9-]+\.)+localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/i.test(
    host,
  )
}
