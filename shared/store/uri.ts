import { StoreError } from '../contracts/errors/store.ts'
import type { StoreUri } from './driver/kind.ts'
import { isLegalSegment } from './driver/object-name.ts'
import { KINDS, schemeOf } from './kinds.ts'

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
  const scheme = parts === null ? undefined : schemeOf(uri)
  const [, , authority = '', rest = ''] = parts ?? []
  if (scheme === undefined) {
    const forms = Object.values(KINDS).map(({ form }) => form)
    return refuse(uri, `expected ${forms.join(' or ')}`)
  }
  const kind = KINDS[scheme]
  const segments = rest.replace(/\/$/, '').split('/')
  const isRoot = segments.length === 1 && segments[0] === ''
  const why = (said: string) => refuse(uri, said)
  const path = kind.pathOf(authority, isRoot ? [] : segments, why)
  const illegal = path.find((segment) => !isLegalSegment(segment))
  if (illegal !== undefined) refuse(uri, `it has the segment ${JSON.stringify(illegal)}`)
  return { scheme, authority, path }
}

/**
 * Whether a URI names an object below one of the prefixes, compared by whole path segments. Symbolic links are not
 * resolved here; the store checks them when it reads.
 * @throws StoreError bad-name when a prefix itself is no URI of a store.
 */
export function withinPrefixes(uri: string, prefixes: readonly string[]): boolean {
  const limits = prefixes.map(knownUri)
  try {
    const place = parseUri(uri)
    return !uri.endsWith('/') && limits.some((limit) => isBelow(place, limit))
  } catch (error) {
    if (error instanceof StoreError) return false
    throw error
  }
}

/** The prefixes of settings, which are looked at with every job. */
const known = new Map<string, StoreUri>()

function knownUri(prefix: string): StoreUri {
  const parsed = known.get(prefix) ?? parseUri(prefix)
  if (known.size < MAX_KNOWN) known.set(prefix, parsed)
  return parsed
}

const MAX_KNOWN = 1000

/** Whether a place lies below another, and is not the same. */
export function isBelow(place: StoreUri, limit: StoreUri): boolean {
  return (
    place.scheme === limit.scheme &&
    place.authority === limit.authority &&
    place.path.length > limit.path.length &&
    limit.path.every((segment, index) => segment === place.path[index])
  )
}

function refuse(uri: string, why: string): never {
  const shown = uri.length > 200 ? `${uri.slice(0, 200)}…` : uri
  throw new StoreError('bad-name', `${JSON.stringify(shown)} names no place: ${why}`)
}
