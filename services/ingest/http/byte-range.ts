import { HttpError } from '#shared/contracts/errors/http.ts'

/** The bytes [start, end) of a file. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/**
 * The bytes that a Range header asks for, of a file of `bytes` bytes. Undefined when the whole file is to be
 * sent: without the header, for units other than bytes, and for several ranges at once (RFC 9110, section 14.2,
 * allows this).
 * @throws HttpError RANGE_NOT_SATISFIABLE when the range is malformed or lies outside the file
 */
export function byteRange(header: string | undefined, bytes: number): ByteRange | undefined {
  if (header === undefined || !/^\s*bytes\s*=/i.test(header)) return undefined
  const ranges = header.slice(header.indexOf('=') + 1)
  if (/^\s*(?:\d*-\d*\s*,\s*)+\d*-\d*\s*$/.test(ranges)) return undefined
  const [, first = '', last = ''] = /^\s*(\d*)-(\d*)\s*$/.exec(ranges) ?? []
  if (first === '' && last === '') throw refusal(header, bytes)
  const start = first === '' ? Math.max(0, bytes - Number(last)) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(Number(last) + 1, bytes)
  if (start >= end) throw refusal(header, bytes)
  return { start, end }
}

function refusal(header: string, bytes: number): HttpError {
  return new HttpError(
    'RANGE_NOT_SATISFIABLE',
    `Range ${JSON.stringify(header.slice(0, 100))} is no range of this file; expected bytes=first-last, first from 0 to ${Math.max(0, bytes - 1)}.`,
    { at: 'header range' },
  )
}
