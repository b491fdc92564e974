import { type Readable, Transform } from 'node:stream'
import { createGunzip } from 'node:zlib'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { HttpError } from '#shared/contracts/errors/http.ts'

/**
 * A gzip body may always grow to `ANY_BYTES` bytes, and beyond that to `MAX_TIMES` times its compressed length.
 * Real JSON does not compress better than that.
 */
const ANY_BYTES = 1024 * 1024
const MAX_TIMES = 100

/**
 * Decompresses bodies with `Content-Encoding: gzip` on routes that declare `inflates`, and refuses every other
 * encoding, so that compressed bytes are never taken for content. The decompressed size is limited by the
 * compressed length and, as for any body, by the limit of the route.
 */
export function inflateBodies(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    const encoding = encodingOf(request)
    if (encoding === undefined || isTaken(request, encoding)) return
    reply.header('accept-encoding', inflates(request) ? 'gzip' : 'identity')
    const expected = inflates(request) ? 'gzip or none' : 'none'
    throw new HttpError(
      'WRONG_CONTENT_ENCODING',
      `Content-Encoding is ${JSON.stringify(encoding.slice(0, 100))}; expected ${expected}.`,
      { at: 'header content-encoding' },
    )
  })
  app.addHook('preParsing', async (request, _reply, payload) =>
    encodingOf(request) === undefined ? payload : inflated(payload as Readable),
  )
}

/** The content encoding in lower case; undefined for `identity`, and for a request without a body. */
function encodingOf({ headers }: FastifyRequest): string | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase()
  if (encoding === undefined || encoding === 'identity') return undefined
  const { 'content-length': length, 'transfer-encoding': transfer } = headers
  return transfer === undefined && Number(length ?? 0) === 0 ? undefined : encoding
}

function isTaken(request: FastifyRequest, encoding: string): boolean {
  return inflates(request) && (encoding === 'gzip' || encoding === 'x-gzip')
}

function inflates({ routeOptions, headers }: FastifyRequest): boolean {
  return (
    routeOptions.config.inflates === true &&
    !headers['content-type']?.toLowerCase().startsWith('multipart/')
  )
}

function inflated(payload: Readable): Readable {
  const gunzip = createGunzip()
  let packed = 0
  let bytes = 0
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      packed += chunk.length
      done(null, chunk)
    },
  })
  const bounded = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length
      if (bytes <= ANY_BYTES || bytes <= MAX_TIMES * packed) done(null, chunk)
      else done(tooTight())
    },
  })
  // `pipeline` would destroy the connection on an error, and with it the response.
  for (const [from, to] of [
    [payload, counted],
    [counted, gunzip],
    [gunzip, bounded],
  ] as const) {
    from.pipe(to)
    from.on('error', (error) => to.destroy(error))
    // The reader may have stopped by then. An `error` event without a listener would end the process.
    to.on('error', () => {})
    to.once('close', () => from.unpipe(to))
  }
  payload.once('close', () => {
    if (!payload.readableEnded) counted.destroy(new Error('premature close'))
  })
  // fastify compares this property with Content-Length.
  return Object.defineProperty(bounded, 'receivedEncodedLength', { get: () => packed })
}

function tooTight(): HttpError {
  return new HttpError(
    'TOO_LARGE',
    `The body grows to more than ${MAX_TIMES} times its length, and ${ANY_BYTES} bytes; expected gzip of JSON.`,
  )
}
