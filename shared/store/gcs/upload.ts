import { randomUUID } from 'node:crypto'
import { abortable } from '../../async/abort.ts'
import type { Body, Created } from '../driver/driver.ts'
import { crc32c, crc32cText } from './crc32c.ts'
import { type Answer, answerOf, type Call, GcsError, type Wire } from './wire.ts'

/** Where an upload goes and what it is. */
export interface Upload {
  readonly bucket: string
  /** The name in the bucket. */
  readonly name: string
  readonly contentType: string
  /** Kept with the object, so that we know our own again. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Of all bytes, base64, where it is known before they are sent. */
  readonly crc32c?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Of https://cloud.google.com/storage/docs/json_api/v1/objects#resource, what tells which bytes these are. */
export interface StoredSum {
  readonly size: string
  /** Base64. */
  readonly crc32c: string
  readonly metadata?: Readonly<Record<string, string>>
}

/** What was sent is not what arrived. Nothing has come of it, so it can be sent again. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError'
}

/**
 * Uploads a body if there is no object of the name. Its checksum goes along, before or with the last bytes, so
 * that no object ever comes to be of what was damaged on the way. That is sent again where it is still at hand: a
 * stream of several pieces is not. `look` tells what is there.
 * @throws DamagedError; GcsError; the network's error after the last try; the signal's reason.
 */
export async function upload(
  wire: Wire,
  to: Upload,
  body: Body,
  { pieceBytes, look }: { pieceBytes: number; look: () => Promise<StoredSum | undefined> },
): Promise<Created> {
  const settle = (sent: Sent) => settled(to, sent, look)
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

/** What was sent, and what the server said to it. */
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
      if (!(error instanceof DamagedError)) throw error
      await wire.again(error, attempt, signal)
    }
  }
}

/** What came of it. Where the answer leaves that open, what is there decides: a 412 may mean anything. */
async function settled(
  to: Upload,
  sent: Sent,
  look: () => Promise<StoredSum | undefined>,
): Promise<Created> {
  const { answer } = sent
  if (answer.status !== 412 && isSame(answer.body as StoredSum, sent)) return 'created'
  const found = await look()
  // Google's test bench answers 412 to a wrong checksum; Cloud Storage says 400.
  if (found === undefined) throw damaged(to)
  const { creation } = to.metadata ?? {}
  const isOurs = creation !== undefined && found.metadata?.creation === creation
  if (isSame(found, sent)) return isOurs || answer.status !== 412 ? 'created' : 'exists'
  if (!isOurs) return 'differs'
  // A server that heeds no checksums. Nobody here may remove what it has made.
  throw new Error(`${uriOf(to)} has arrived damaged, and Cloud Storage has kept it`)
}

function isSame(found: StoredSum | undefined, sent: Sent): boolean {
  return found?.size === String(sent.bytes) && found.crc32c === sent.crc32c
}

function damaged(to: Upload, cause?: unknown): DamagedError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new DamagedError(`${uriOf(to)} arrived damaged, and was not taken${why}`, { cause })
}

function uriOf({ bucket, name }: Upload): string {
  return `gs://${bucket}/${name}`
}

/** Cloud Storage says 400 to bytes that are not what their checksum says, and to a request that it cannot read. */
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

/** https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects, multipart. */
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

/** Opens an upload session that creates the object only if it is absent. Answers its URL in `location`, or 412. */
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

/** https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload. */
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
      // What is there already is still to be compared.
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
    // Unfinished sessions cannot be seen and end by themselves, so nobody waits for this.
    if (url)
      wire.open({ method: 'DELETE', url, answers: [404, 499] }).then(
        (opened) => opened.close(),
        () => {},
      )
    throw error
  }
}

/** Sends one piece, going on from the byte that the server has, however often it breaks. */
async function sendPiece(
  wire: Wire,
  to: Upload,
  { url, start, piece, sum }: { url: string; start: number; piece: Piece; sum: string },
): Promise<Answer> {
  const { bytes, isLast } = piece
  const { signal } = to
  const end = start + bytes.length
  const total = isLast ? end : '*'
  // Whichever request ends the upload: Cloud Storage then compares, before there is an object.
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
      if (error instanceof DamagedError) throw error
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

/** How many bytes of the upload the server has: all before `start`, and none after `end`. */
function persisted(answer: Answer, start: number, end: number): number {
  const last = /^bytes=0-(\d+)$/.exec(answer.headers.get('range') ?? '')?.[1]
  const bytes = last === undefined ? 0 : Number(last) + 1
  if (bytes >= start && bytes <= end) return bytes
  throw new DamagedError(
    `Cloud Storage has ${bytes} bytes of an upload, not ${start} to ${end}`,
  )
}

function sessionGone(to: Upload): DamagedError {
  return new DamagedError(`${uriOf(to)}: its upload session is gone`)
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

/** The body cut into pieces of so many bytes, the last one shorter. An empty body has none. */
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
    // The source may use its buffer again.
    if (chunk.length > 0) held.push(body instanceof Uint8Array ? chunk : new Uint8Array(chunk))
    heldBytes += chunk.length
  }
  if (heldBytes > 0) yield { bytes: joined(held), isLast: true }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks
  return chunks.length === 1 && only ? only : Buffer.concat(chunks)
}
