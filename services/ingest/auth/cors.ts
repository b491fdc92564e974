import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ConfigError } from '#shared/contracts/errors/config.ts'
import { pageOf } from '#shared/frame/door.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Access } from './access.ts'

/** The origins whose pages may use the API. */
export interface Origins {
  readonly kind: 'none' | 'some' | 'any'
  /** Whether an origin is one of them; undefined: it is not known. */
  readonly has: (origin: string | undefined) => boolean
}

/** The methods and headers that the API takes. A new header that a client sends belongs here. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH'
const SENT = [
  ...['authorization', 'content-type', 'content-encoding', 'content-range', 'content-digest'],
  ...['repr-digest', 'upload-offset', 'upload-complete'],
  ...['range', 'if-range', 'if-none-match', 'last-event-id', 'cache-control'],
].join(', ')
/** Headers of answers that a script could not see otherwise. */
const SEEN = [
  ...['etag', 'location', 'content-range', 'accept-ranges', 'content-length'],
  ...['content-disposition', 'upload-offset', 'upload-complete', 'retry-after', 'allow'],
  'www-authenticate',
].join(', ')
/** How long a browser remembers the answer to a preflight, seconds: the longest that Chromium does. */
const REMEMBERED = 7200

/**
 * The origins of the configuration.
 * @throws ConfigError when one is not written as browsers write an origin, or is `*` where no token is needed
 */
export function allowedOrigins(
  { cors_origins }: Pick<Config, 'cors_origins'>,
  { isGuarded }: Access,
): Origins {
  const faults = cors_origins.flatMap((origin, index) => {
    const wrong = wrongWith(origin, isGuarded || cors_origins.length > 1)
    return wrong === undefined ? [] : [`/${index} ${wrong}`]
  })
  if (cors_origins.includes('*') && cors_origins.length > 1)
    faults.push('has * beside other origins: expected one of the two')
  if (faults.length > 0) {
    const variable = 'TRACKCHAIN_CORS_ORIGINS'
    throw new ConfigError(faults.map((wrong) => ({ variable, wrong })))
  }
  const known = new Set(cors_origins)
  if (known.has('*')) return { kind: 'any', has: () => true }
  return {
    kind: known.size === 0 ? 'none' : 'some',
    has: (origin) => origin !== undefined && known.has(origin),
  }
}

function wrongWith(origin: string, mayBeAny: boolean): string | undefined {
  if (origin === '*') {
    if (mayBeAny) return undefined
    return 'is *, and no token is needed here: every page in a browser on this machine could use the API. Name the origins, or set TRACKCHAIN_TOKENS or TRACKCHAIN_OIDC.'
  }
  const isOne = /^https?:[^*]+$/.test(origin) && URL.canParse(origin)
  const canonical = isOne && new URL(origin).origin
  if (canonical === origin) return undefined
  const hint = canonical ? `, e.g. ${canonical}` : ''
  return `is ${JSON.stringify(origin)}; expected an origin as browsers write it: https:// or http://, the name in lower case, a port that is not the usual one, and nothing behind it${hint}`
}

/** The headers of the answer to a preflight; undefined if the request is none of an allowed origin. */
export function preflight(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  origins: Origins,
): Readonly<Record<string, string | number>> | undefined {
  const isOne = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
  if (!isOne || headers.origin === undefined || !origins.has(headers.origin)) return undefined
  return {
    'access-control-allow-methods': METHODS,
    'access-control-allow-headers': SENT,
    'access-control-max-age': REMEMBERED,
  }
}

/**
 * Lets scripts of allowed origins read every answer, refusals included, and their elements load what may be embedded.
 * Never with credentials: there are no cookies. Without origins nothing is added to any answer.
 */
export function answerOrigins(app: FastifyInstance, { kind, has }: Origins): void {
  if (kind === 'none') return
  app.addHook('onSend', async (request, reply) => {
    if (kind === 'some') {
      const others = reply.getHeader('vary')
      reply.header('vary', others === undefined ? 'origin' : `${others}, origin`)
    }
    const { origin } = request.headers
    const { embeds = false } = request.routeOptions.config
    const page = pageOf(request.raw, embeds)
    if (page === undefined ? kind === 'some' || !embeds : !has(page)) return
    reply.header('cross-origin-resource-policy', 'cross-origin')
    if (origin === undefined) return
    reply.header('access-control-allow-origin', kind === 'any' ? '*' : origin)
    reply.header('access-control-expose-headers', SEEN)
  })
}
