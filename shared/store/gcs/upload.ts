import { randomUUID } from 'node:crypto'
import { abortable } from '../../async/abort.ts'
import { isDamaged, StoreError } from '../../contracts/errors/store.ts'
import type { Body, Created } from '../driver/driver.ts'
import { crc32c, crc32cText } from './crc32c.ts'
import { type Answer, answerOf, type Call, GcsError, type Wire } from './wire.ts'

/** The target and the properties of an upload. */
export interface Upload {
  readonly bucket: string
  /** The name in the bucket. */
  readonly name: string
  readonly contentType: string
  /** Custom metadata of the object. It identifies an object that this upload has created. */
  readonly metadata?: Readonly<Record<string, string>>
  /** The CRC-32C of the whole body, base64, if it is known before the body is sent. */
  readonly crc32c?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** The fields of https://cloud.google.com/storage/docs/json_api/v1/objects#resource that identify the bytes. */
export interface StoredSum {
  /** The number of bytes, in decimal. */
  readonly size: string
  /** The CRC-32C, base64. */
  readonly crc32c: string
  readonly metadata?: Readonly<Record<string, string>>
}

/**
 * Uploads a body if there is no object of this name. Its checksum is sent before or with the last bytes, so that bytes
 * that were damaged on the way never become an object. Damaged bytes are sent again if they are still in memory, which
 * a stream of several pieces is not. `inspect` reads what is stored under the name.
 * @throws StoreError damaged, also when the upload session was lost: no object came of it; GcsError; the network's error after the last try; the signal's reason.
 */
export async function upload(
  wire: Wire,
  to: Upload,
  body: Body,
  {
    pieceBytes,
    inspect,
  }: { pieceBytes: number; inspect: () => Promise<StoredSum | undefined> },
): Promise<Created> {
  const settle = (sent: Sent) => settled(to, sent, inspect)
  const pieces = piecesOf(body, pieceBytes, to.signal)
  try {
    const first = await pieces.next()
    if (first.done || first.value.isLast) {
      const bytes = first.value?.bytes ?? new Uint8Array(0)
      return await untilSound(wire, to, async () => settle(await uploadWhole(wire, to, bytes)))
    }
    if (!(body instanceof Uint8Array)) {
      return await settle(await uploadPieces(wire, to, first.value, pieces))
    }
    return await untilSound(wire, to, async () => {
      const again = piecesOf(body, pieceBytes, to.signal)
      const { value } = await again.next()
      return settle(await uploadPieces(wire, to, value as Piece, again))
    })
  } finally {
    await pieces.return(undefined)
  }
}

/** What was sent, and the server's answer. */
interface Sent {
  readonly bytes: number
  readonly crc32c: string
  readonly answer: Answer
}

async function untilSound(
  wire: Wire,
  { signal }: Upload,
  act: () => Promise<Created>,
): Promise<Created> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!isDamaged(error)) throw error
      await wire.again(error, attempt, signal)
    }
  }
}

/** The result of an upload. If the answer leaves it open, the stored object decides: a 412 has several causes. */
async function settled(
  to: Upload,
  sent: Sent,
  inspect: () => Promise<StoredSum | undefined>,
): Promise<Created> {
  const { answer } = sent
  if (answer.status !== 412 && isSame(answer.body as StoredSum, sent)) return 'created'
  const found = await inspect()
  // Google's test bench answers 412 to a wrong checksum; Cloud Storage says 400.
  if (found === undefined) throw damaged(to)
  const { creation } = to.metadata ?? {}
  const isOurs = creation !== undefined && found.metadata?.creation === creation
  if (isSame(found, sent)) return isOurs || answer.status !== 412 ? 'created' : 'exists'
  if (!isOurs) return 'differs'
  // The server ignores checksums. This identity may not remove the damaged object.
  throw new Error(`${uriOf(to)} has arrived damaged, and Cloud Storage has kept it`)
}

function isSame(found: StoredSum | undefined, sent: Sent): boolean {
  return found?.size === String(sent.bytes) && found.crc32c === sent.crc32c
}

function damaged(to: Upload, cause?: unknown): StoreError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new StoreError('damaged', `${uriOf(to)} arrived damaged, and was not taken${why}`, {
    cause,
  })
}

function uriOf({ bucket, name }: Upload): string {
  return `gs://${bucket}/${name}`
}

/** Maps a 400 to `damaged`: Cloud Storage sends it for a wrong checksum and for a request that it cannot parse. */
async function orDamaged<T>(to: Upload, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw isRefused(error) ? damaged(to, error) : error
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof GcsError && error.status === 400
}

/** A multipart upload: https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects. */
async function uploadWhole(wire: Wire, to: Upload, bytes: Uint8Array): Promise<Sent> {
  const { name, contentType, metadata } = to
  const sum = crc32cText(crc32c(bytes))
  const boundary = `part-${randomUUID()}`
  const object = { name, contentType, metadata, crc32c: sum }
  const head =
    `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n` +
    `${JSON.stringify(object)}\r\n--${boundary}\r\nContent-Type: ${contentType}\r\n\r\n`
  const call = {
    ...insertion(to, 'multipart'),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  }
  const answer = await orDamaged(to, () => wire.send(call))
  return { bytes: bytes.length, crc32c: sum, answer }
}

/** Opens an upload session that creates the object only if it is absent. @returns its URL in `location`, or a 412. */
export async function openSession(
  wire: Wire,
  to: Upload,
  origin: string | undefined,
): Promise<Answer> {
  const { name, contentType, metadata, crc32c } = to
  const object = { name, contentType, metadata, crc32c }
  const call = {
    ...insertion(to, 'resumable'),
    headers: {
      'content-type': 'application/json; charset=UTF-8',
      'x-upload-content-type': to.contentType,
      ...(origin === undefined ? {} : { origin }),
    },
    body: Buffer.from(JSON.stringify(object)),
  }
  const answer = await orDamaged(to, () => wire.send(call))
  if (answer.status !== 412 && !answer.headers.has('location'))
    throw new Error('Cloud Storage opened an upload session without a location')
  return answer
}

/** A resumable upload: https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload. */
async function uploadPieces(
  wire: Wire,
  to: Upload,
  first: Piece,
  rest: AsyncGenerator<Piece>,
): Promise<Sent> {
  const session = await openSession(wire, to, undefined)
  const url = session.headers.get('location') ?? ''
  let answer = session
  let start = 0
  let sum = 0
  try {
    for (let piece = first; ; ) {
      sum = crc32c(piece.bytes, sum)
      // After a 412 the rest is not sent, but its checksum is needed to compare it with the existing object.
      if (answer.status !== 412) {
        const sending = { url, start, piece, sum: crc32cText(sum) }
        answer = await sendPiece(wire, to, sending)
      }
      start += piece.bytes.length
      if (piece.isLast) break
      if (![308, 412].includes(answer.status))
        throw new Error('Cloud Storage ended an upload before its last piece')
      const next = await rest.next()
      if (next.done) throw new Error('an upload has no last piece')
      piece = next.value
    }
    return { bytes: start, crc32c: crc32cText(sum), answer }
  } catch (error) {
    // Unfinished sessions are invisible and expire by themselves, so this is not awaited.
    if (url)
      wire.open({ method: 'DELETE', url, answers: [404, 499] }).then(
        (opened) => opened.close(),
        () => {},
      )
    throw error
  }
}

/** Sends one piece. When a request breaks, the next one continues after the last byte that the server has. */
async function sendPiece(
  wire: Wire,
  to: Upload,
  { url, start, piece, sum }: { url: string; start: number; piece: Piece; sum: string },
): Promise<Answer> {
  const { bytes, isLast } = piece
  const { signal } = to
  const end = start + bytes.length
  const total = isLast ? end : '*'
  // On each request that may end the upload: Cloud Storage compares the checksum before it creates the object.
  const last = isLast ? { 'x-goog-hash': `crc32c=${sum}` } : {}
  const put = { method: 'PUT', url, answers: [308, 404, 410, 412], signal } as const
  let from = start
  let failures = 0
  while (true) {
    const rest = bytes.subarray(from - start) as Uint8Array<ArrayBuffer>
    const range = rest.length > 0 ? `bytes ${from}-${end - 1}/${total}` : `bytes */${total}`
    try {
      const opened = await wire.open({
        ...put,
        headers: { 'content-range': range, ...last },
        body: rest,
      })
      const answer = await answerOf(opened)
      if ([404, 410].includes(answer.status)) throw sessionGone(to)
      if (answer.status !== 308) return answer
      from = persisted(answer, start, end)
      if (from === end && !isLast) return answer
      throw new GcsError(503, `Cloud Storage kept ${from} of ${end} bytes`)
    } catch (error) {
      if (isDamaged(error)) throw error
      if (isRefused(error)) throw damaged(to, error)
      await wire.again(error, ++failures, signal)
    }
    const headers = { 'content-range': `bytes */${total}`, ...last }
    const status = await orDamaged(to, () => wire.send({ ...put, headers }))
    if ([404, 410].includes(status.status)) throw sessionGone(to)
    if (status.status !== 308) return status
    const now = persisted(status, start, end)
    if (now > from) failures = 0
    from = now
    if (from === end && !isLast) return status
  }
}

/** How many bytes of the upload the server has. @throws StoreError damaged unless that is from `start` to `end`. */
function persisted(answer: Answer, start: number, end: number): number {
  const last = /^bytes=0-(\d+)$/.exec(answer.headers.get('range') ?? '')?.[1]
  const bytes = last === undefined ? 0 : Number(last) + 1
  if (bytes >= start && bytes <= end) return bytes
  throw new StoreError(
    'damaged',
    `Cloud Storage has ${bytes} bytes of an upload, not ${start} to ${end}`,
  )
}

function sessionGone(to: Upload): StoreError {
  return new StoreError('damaged', `${uriOf(to)}: its upload session is gone`)
}

function insertion({ bucket, name, signal }: Upload, uploadType: string) {
  return {
    method: 'POST',
    url: `/upload/storage/v1/b/${bucket}/o`,
    query: { uploadType, name, ifGenerationMatch: 0 },
    answers: [412],
    signal,
  } as const satisfies Call
}

interface Piece {
  readonly bytes: Uint8Array
  readonly isLast: boolean
}

/** Cuts the body into pieces of `pieceBytes` bytes; the last one may be shorter. An empty body has no piece. */
async function* piecesOf(
  body: Body,
  pieceBytes: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Piece> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (let chunk of abortable(body, signal)) {
    while (heldBytes + chunk.length > pieceBytes) {
      const room = pieceBytes - heldBytes
      yield { bytes: joined([...held, chunk.subarray(0, room)]), isLast: false }
      chunk = chunk.subarray(room)
      held = []
      heldBytes = 0
    }
    // Copied, because the source of a stream may reuse its buffer.
    if (chunk.length > 0) held.push(body instanceof Uint8Array ? chunk : new Uint8Array(chunk))
    heldBytes += chunk.length
  }
  if (heldBytes > 0) yield { bytes: joined(held), isLast: true }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks
  return chunks.length === 1 && only ? only : Buffer.concat(chunks)
}
