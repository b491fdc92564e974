/**
 * Rows as one JSON parameter for `json_to_recordset`: a batch of any size is one value. PostgreSQL's text cannot hold a
 * NUL or half of a surrogate pair; both become U+FFFD.
 */
export function rows(values: readonly object[]): string {
  const text = JSON.stringify(values)
  return UNFIT.test(text) ? JSON.stringify(values.map((value) => fit(value))) : text
}

/** An instant in the form that the database takes, to the millisecond, in the years 1970 to 9999. */
export function instant(text: string): string {
  const ms = Date.parse(text)
  return new Date(Math.min(Math.max(Number.isNaN(ms) ? 0 : ms, 0), LATEST)).toISOString()
}

/** A UUID in the form that the database takes. JSON Schema's format also allows a URN (RFC 9562). */
export function uuid(text: string): string {
  return text.replace(/^urn:uuid:/i, '')
}

/** An integer in the form that the database takes. */
export function whole(value: number): number {
  return Math.round(
    Math.min(Math.max(value, -Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER),
  )
}

/** Text of at most `length` characters: an index entry cannot hold more than about 2,700 bytes. */
export function clipped(text: string, length: number): string {
  return text.length > length ? text.slice(0, length) : text
}

const LATEST = Date.UTC(9999, 11, 31)
/** What JSON.stringify writes for a NUL and for half of a surrogate pair. It may also match harmless text. */
const UNFIT = /\\u(?:0000|d[89a-f])/

function fit(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\uFFFD')
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fit)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [fit(key), fit(item)]))
}
