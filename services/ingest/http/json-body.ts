import type { FastifyInstance } from 'fastify'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { json } from '#shared/contracts/message.ts'

export const JSON_TYPE = 'application/json'

/** Accepts JSON bodies of up to `bodyLimit` bytes as buffers. `documentIn` parses them and reports errors. */
export function takeJson(app: FastifyInstance, bodyLimit: number): void {
  app.addContentTypeParser(
    JSON_TYPE,
    { parseAs: 'buffer', bodyLimit },
    (_request, body, done) => done(null, body),
  )
}

/**
 * Parses a JSON body.
 * @param expected names the expected document in the error for an empty body
 * @throws PermanentError NOT_JSON
 */
export function documentIn(body: unknown, expected: string): unknown {
  if (!(body instanceof Uint8Array) || body.length === 0) {
    throw new PermanentError('NOT_JSON', `The body is empty; expected ${expected} as JSON.`)
  }
  return json(body, 'The body')
}

/**
 * Parses a JSON body that may be left out, which is an empty object then.
 * @throws PermanentError NOT_JSON
 */
export function optionalDocumentIn(body: unknown): unknown {
  const isEmpty = body === undefined || (body instanceof Uint8Array && body.length === 0)
  return isEmpty ? {} : documentIn(body, 'JSON')
}
