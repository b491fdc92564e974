import type { IncomingHttpHeaders } from 'node:http'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { tooLarge } from './upload-folder.ts'
import type { Piece } from './uploads.ts'

/**
 * The bytes of an upload that a request brings, by Content-Range
 * (https://www.rfc-editor.org/rfc/rfc9110#section-14.5) or by Upload-Offset and Upload-Complete (IETF draft on
 * resumable uploads). Without either, the request brings the whole upload.
 * @throws HttpError BAD_REQUEST, TOO_LARGE
 */
export function pieceOf(
  headers: IncomingHttpHeaders,
  mostBytes: number,
): Pick<Piece, 'offset' | 'length' | 'isLast'> {
  const announced = headers['content-length']
  const length = announced === undefined ? undefined : Number(announced)
  const range = headers['content-range']
  const piece = range === undefined ? byOffset(headers, length) : byRange(range, length)
  if ((piece.offset ?? 0) + (piece.length ?? 0) > mostBytes) throw tooLarge(mostBytes)
  return piece
}

function byOffset(headers: IncomingHttpHeaders, length: number | undefined) {
  const { 'upload-offset': offset, 'upload-complete': complete } = headers
  if (offset !== undefined && !/^\d{1,15}$/.test(String(offset))) {
    throw refusal('upload-offset', offset, 'a number of bytes from 0')
  }
  if (complete !== undefined && complete !== '?0' && complete !== '?1') {
    throw refusal('upload-complete', complete, '?0 or ?1')
  }
  return {
    offset: offset === undefined ? undefined : Number(offset),
    length,
    isLast: complete !== '?0',
  }
}

function byRange(range: string, length: number | undefined) {
  const expected = 'bytes first-last/total, as long as the body'
  const [, first, last, whole] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(range) ?? []
  if (first === undefined || last === undefined) throw refusal('content-range', range, expected)
  const offset = Number(first)
  const end = Number(last) + 1
  const isWithin = whole === '*' || end <= Number(whole)
  if (end <= offset || !isWithin || (length !== undefined && length !== end - offset)) {
    throw refusal('content-range', range, expected)
  }
  return { offset, length: end - offset, isLast: whole !== '*' && end === Number(whole) }
}

function refusal(name: string, value: unknown, expected: string): HttpError {
  const got = JSON.stringify(String(value).slice(0, 100))
  return new HttpError('BAD_REQUEST', `${name} is ${got}; expected ${expected}.`, {
    at: `header ${name}`,
  })
}
