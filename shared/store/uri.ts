import { StoreError } from '../contracts/errors/store.ts'
import { isLegalSegment } from './driver/object-name.ts'

/** A parsed URI of a place in a store. */
export type StoreUri =
  | { readonly scheme: 'file'; readonly path: readonly string[] }
  | { readonly scheme: 'gs'; readonly bucket: string; readonly path: readonly string[] }

/** Bucket names, by https://cloud.google.com/storage/docs/buckets#naming. */
const BUCKET = /^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/

/**
 * Parses `file:///folder/…` or `gs://bucket/…` into its one canonical form. Anything ambiguous is refused rather than
 * normalized: dot segments, empty segments, backslashes, control characters, a user, host or port, a query, a
 * fragment, escaped slashes. File URIs are percent-decoded; names in a bucket are taken literally, as gcloud writes
 * them. A trailing slash makes no difference.
 * @throws StoreError bad-name that says what is wrong.
 */
export function parseUri(uri: string): StoreUri {
  // Other parsers trim white space, and would then read another place.
  if (uri !== uri.trim()) refuse(uri, 'it begins or ends with white space')
  const parts = /^([a-z]+):\/\/([^/]*)(?:\/(.*))?$/is.exec(uri)
  const scheme = parts?.[1]?.toLowerCase()
  const [, , authority = '', rest = ''] = parts ?? []
  const segments = rest.replace(/\/$/, '').split('/')
  const path = segments.length === 1 && segments[0] === '' ? [] : segments
  if (scheme === 'file') {
    if (authority !== '') refuse(uri, 'file:// takes no host: write file:///folder')
    return { scheme, path: path.map((segment) => checked(uri, decoded(uri, segment))) }
  }
  if (scheme === 'gs') {
    if (!BUCKET.test(authority)) refuse(uri, `${JSON.stringify(authority)} is no bucket`)
    return { scheme, bucket: authority, path: path.map((segment) => harmless(uri, segment)) }
  }
  return refuse(uri, 'expected file:///… or gs://…')
}

/**
 * Whether a URI names an object below one of the prefixes, compared by whole path segments. Symbolic links are not
 * resolved here; the store checks them when it reads.
 * @throws StoreError bad-name when a prefix itself is no URI of a store.
 */
export function withinPrefixes(uri: string, prefixes: readonly string[]): boolean {
  const limits = prefixes.map(parseUri)
  try {
    const place = parseUri(uri)
    return !uri.endsWith('/') && limits.some((limit) => isBelow(place, limit))
  } catch (error) {
    if (error instanceof StoreError) return false
    throw error
  }
}

/** Whether a place lies below another, and is not the same. */
export function isBelow(place: StoreUri, limit: StoreUri): boolean {
  return (
    rootOf(place) === rootOf(limit) &&
    place.path.length > limit.path.length &&
    limit.path.every((segment, index) => segment === place.path[index])
  )
}

function rootOf(place: StoreUri): string {
  return place.scheme === 'gs' ? `gs://${place.bucket}` : 'file://'
}

function decoded(uri: string, segment: string): string {
  if (/[?#]/.test(segment)) refuse(uri, 'write ? as %3F and # as %23')
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    return refuse(uri, 'a % must begin an escape: write it as %25')
  }
  if (text.includes('/')) refuse(uri, 'a slash is escaped')
  return text
}

/** Returns the segment unless percent-decoding it would yield a dot, a slash, a backslash or a control character. */
function harmless(uri: string, segment: string): string {
  if (/%(2e|2f|5c|[01][0-9a-f]|7f)/i.test(segment))
    refuse(uri, 'it has an escape that hides a path')
  return checked(uri, segment)
}

function checked(uri: string, segment: string): string {
  if (!isLegalSegment(segment)) refuse(uri, `it has the segment ${JSON.stringify(segment)}`)
  return segment
}

function refuse(uri: string, why: string): never {
  const shown = uri.length > 200 ? `${uri.slice(0, 200)}…` : uri
  throw new StoreError('bad-name', `${JSON.stringify(shown)} names no place: ${why}`)
}
