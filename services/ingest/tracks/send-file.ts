import type { FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { type ByteRange, byteRange } from '../http/byte-range.ts'
import { matches } from '../http/etag.ts'
import type { ServedFile } from './tags/tag-file.ts'

/** An asset is what it is by its name, but which one a track has may change any time. */
const CACHE = 'private, no-cache'
/** A browser that shows the file by itself loads it again from here; it may do nothing else. */
const CSP =
  "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"

/** A file of an asset as it is sent. */
interface SentFile {
  readonly etag: string
  readonly type: string
  /** The value of Content-Disposition. */
  readonly disposition: string
  /** Called where nothing is read: a row alone would vouch for an object that may be gone. @throws StoreError not-found */
  assertThere(): Promise<void>
  /** The bytes, or those with tags. */
  open(): Promise<ServedFile>
}

/** The value of Content-Disposition that names a file of an asset: shown where it can be, and saved by its name. */
export function dispositionOf(fileName: string): string {
  return `inline; filename="${fileName}"`
}

/**
 * Answers GET and HEAD with a file, or a range of it. Understands Range, If-Range and If-None-Match.
 * @throws HttpError RANGE_NOT_SATISFIABLE; StoreError not-found when the object is gone
 */
export async function sendFile(
  request: FastifyRequest,
  reply: FastifyReply,
  sent: SentFile,
): Promise<FastifyReply> {
  const { etag } = sent
  reply.headers({
    etag,
    'accept-ranges': 'bytes',
    'cache-control': CACHE,
    'content-security-policy': CSP,
    'content-disposition': sent.disposition,
  })
  reply.type(sent.type)
  const isKnown = matches(request.headers['if-none-match'], etag)
  if (isKnown || request.method === 'HEAD') await sent.assertThere()
  if (isKnown) return reply.code(304).send()
  const file = await sent.open()
  const ifRange = request.headers['if-range']
  const isSame = ifRange === undefined || ifRange === etag
  const range = isSame ? rangeOf(request, reply, file.bytes) : undefined
  const { start, end } = range ?? { start: 0, end: file.bytes }
  if (range !== undefined) {
    reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${file.bytes}`)
  }
  reply.header('content-length', end - start)
  if (request.method === 'HEAD') return reply.send()
  return reply.send(await file.read(start, end))
}

/** @throws HttpError RANGE_NOT_SATISFIABLE, and sets the header that belongs to it */
function rangeOf(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: number,
): ByteRange | undefined {
  try {
    return byteRange(request.headers.range, bytes)
  } catch (error) {
    const isOutside = error instanceof HttpError && error.code === 'RANGE_NOT_SATISFIABLE'
    if (isOutside) reply.header('content-range', `bytes */${bytes}`)
    throw error
  }
}
