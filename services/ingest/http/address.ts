import type { FastifyInstance } from 'fastify'
import { HttpError } from '#shared/contracts/errors/http.ts'

/**
 * Refuses request targets that are not percent-encoded UTF-8. Otherwise such a target would silently be decoded
 * to some other text and looked up as that. Source: RFC 3986, section 2.
 */
export function checkAddresses(app: FastifyInstance): void {
  app.addHook('onRequest', async ({ raw: { url = '' } }) => {
    const [path = '', ...query] = url.split('?')
    for (const [at, text] of [
      ['path', path],
      ['query', query.join('?')],
    ] as const)
      checkEncoded(at, text)
  })
}

function checkEncoded(at: string, text: string): void {
  const expected = 'expected UTF-8, percent-encoded'
  if (/[^\x21-\x7e]/.test(text)) {
    throw new HttpError('BAD_REQUEST', `The ${at} has bytes as they are; ${expected}.`, {
      at,
    })
  }
  try {
    decodeURIComponent(text)
  } catch {
    throw new HttpError('BAD_REQUEST', `The ${at} is not UTF-8; ${expected}.`, { at })
  }
}
