import { createHash } from 'node:crypto'

/** The strong ETag of a body, from its sha256. */
export function etagOf(body: string): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`
}

/**
 * Whether If-None-Match says that the client has this version already.
 * @param header the If-None-Match header
 */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return (
    header.trim() === '*' ||
    header.split(',').some((each) => each.trim().replace(/^W\//, '') === etag)
  )
}
