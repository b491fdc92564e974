/**
 * Rows as one JSON parameter for `json_to_recordset`: a batch is one value, whatever its size.
 * PostgreSQL's text knows neither NUL nor half a surrogate pair; both become U+FFFD.
 */
export function rows(values: readonly object[]): string {
  const text = JSON.stringify(values)
  return UNFIT.test(text) ? JSON.stringify(values.map((value) => fit(value))) : text
}

/** An instant as the database takes it, to the millisecond, years 1970 to 9999. */
export function instant(text: string): string {
  const ms = Date.parse(text)
  return new Date(Math.min(Math.max(Number.isNaN(ms) ? 0 : ms, 0), LATEST)).toISOString()
}

/** A UUID as the database takes it: JSON Schema's format also lets it be a URN (RFC 9562). */
export function uuid(text: string): string {
  return text.replace(/^urn:uuid:/i, '')
}

/** A whole number as the database takes it. */
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
/** What JSON.stringify writes for NUL and for the halves of a broken pair. May also hit harmless text. */
const UNFIT = /\\u(?:0000|d[89a-f])/

function fit(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\uFFFD')
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(fit)
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [fit(key), fit(item)]))
}
