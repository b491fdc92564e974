import type { IncomingMessage } from 'node:http'
import { HttpError } from '#shared/contracts/errors/http.ts'

/**
 * Headers that may occur once. Of two, Node takes the first and a proxy may take the other; they would see two
 * different requests.
 */
const ONCE = [
  ...['host', 'content-type', 'content-length', 'content-encoding', 'content-range'],
  ...['authorization', 'origin', 'sec-fetch-site', 'transfer-encoding', 'upload-offset'],
]

/**
 * Refuses a request whose head can be read in two ways.
 * @throws HttpError BAD_REQUEST
 */
export function checkHead({ rawHeaders, headers, url = '' }: IncomingMessage): void {
  const seen = new Set<string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase()
    if (seen.has(name) && ONCE.includes(name)) throw refused(name, 'is given twice')
    seen.add(name)
  }
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    throw refused('transfer-encoding', `is ${shown(coding)}; expected chunked`)
  }
  if (coding !== undefined && headers['content-length'] !== undefined) {
    throw refused('content-length', 'is given beside Transfer-Encoding')
  }
  if (url.startsWith('/') || url === '*') return
  throw new HttpError(
    'BAD_REQUEST',
    `The target of the request is ${shown(url)}; expected a path, beginning with /.`,
  )
}

function refused(name: string, why: string): HttpError {
  return new HttpError('BAD_REQUEST', `The header ${name} ${why}.`, {
    at: `header ${name}`,
  })
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100))
}
