import { createHash } from 'node:crypto'
import { abortable } from './abortable.ts'
import type { Body } from './driver.ts'
import { type Answer, answerOf, type Call, GcsError, type Wire } from './gcs-wire.ts'

/** Where an upload goes and what it is. */
export interface Upload {
  readonly bucket: string
  /** The name in the bucket. */
  readonly name: string
  readonly contentType: string
  /** Kept with the object, so that we know our own again. */
  readonly metadata?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
}

export type Uploaded =
  | { readonly outcome: 'created' }
  /** `doubtful`: a try before got no answer, so the object that is there may be that try's. */
  | { readonly outcome: 'exists'; readonly doubtful: boolean }

/** Uploads a body if there is no object of the name. Nothing can be seen of it before it is whole. */
export async function upload(
  wire: Wire,
  to: Upload,
  body: Body,
  pieceBytes: number,
): Promise<Uploaded> {
  const pieces = piecesOf(body, pieceBytes, to.signal)
  try {
    const first = await pieces.next()
    if (first.done) return await uploadWhole(wire, to, new Uint8Array(0))
    if (first.value.isLast) return await uploadWhole(wire, to, first.value.bytes)
    return await uploadPieces(wire, to, first.value, pieces)
  } finally {
    await pieces.return(undefined)
  }
}

/** https://cloud.google.com/storage/docs/uploading-objects#rest-upload-objects, multipart. */
async function uploadWhole(wire: Wire, to: Upload, bytes: Uint8Array): Promise<Uploaded> {
  const md5Hash = createHash('md5').update(bytes).digest('base64')
  const boundary = `part-${createHash('sha256').update(md5Hash).digest('hex')}`
  const object = { name: to.name, contentType: to.contentType, metadata: to.metadata, md5Hash }
  const head =
    `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n` +
    `${JSON.stringify(object)}\r\n--${boundary}\r\nContent-Type: ${to.contentType}\r\n\r\n`
  const answer = await wire.send({
    ...insertion(to, 'multipart'),
    headers: { 'content-type': `multipart/related; boundary=${boundary}` },
    body: Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]),
  })
  return outcomeOf(answer)
}

/** Opens an upload session that creates the object only if it is absent, and gives its URL. */
export async function openSession(
  wire: Wire,
  to: Upload,
  origin: string | undefined,
): Promise<string | 'exists'> {
  const object = { name: to.name, contentType: to.contentType, metadata: to.metadata }
  const answer = await wire.send({
    ...insertion(to, 'resumable'),
    headers: {
      'content-type': 'application/json; charset=UTF-8',
      'x-upload-content-type': to.contentType,
      ...(origin === undefined ? {} : { origin }),
    },
    body: Buffer.from(JSON.stringify(object)),
  })
  if (answer.status === 412) return 'exists'
  const url = answer.headers.get('location')
  if (!url) throw new Error('Cloud Storage opened an upload session without a location')
  return url
}

/** https://cloud.google.com/storage/docs/performing-resumable-uploads#chunked-upload. */
async function uploadPieces(
  wire: Wire,
  to: Upload,
  first: Piece,
  rest: AsyncGenerator<Piece>,
): Promise<Uploaded> {
  const url = await openSession(wire, to, undefined)
  if (url === 'exists') return { outcome: 'exists', doubtful: false }
  const md5 = createHash('md5')
  let start = 0
  try {
    for (let piece = first; ; ) {
      md5.update(piece.bytes)
      const answer = await sendPiece(wire, url, start, piece, to.signal)
      start += piece.bytes.length
      if (answer.status !== 308) {
        if (!piece.isLast && answer.status !== 412)
          throw new Error('Cloud Storage ended an upload before its last piece')
        return await verified(wire, to, answer, md5.digest('base64'))
      }
      const next = await rest.next()
      if (next.done || piece.isLast) throw new Error('Cloud Storage did not end an upload')
      piece = next.value
    }
  } catch (error) {
    // Unfinished sessions cannot be seen and end by themselves, so nobody waits for this.
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
  url: string,
  start: number,
  { bytes, isLast }: Piece,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const end = start + bytes.length
  const total = isLast ? end : '*'
  const put = { method: 'PUT', url, answers: [308, 412], signal } as const
  let from = start
  let failures = 0
  while (true) {
    const rest = bytes.subarray(from - start) as Uint8Array<ArrayBuffer>
    const range = rest.length > 0 ? `bytes ${from}-${end - 1}/${total}` : `bytes */${total}`
    try {
      const opened = await wire.open({
        ...put,
        headers: { 'content-range': range },
        body: rest,
      })
      const answer = await answerOf(opened, failures + 1)
      if (answer.status !== 308) return answer
      from = persisted(answer, start, end)
      if (from === end && !isLast) return answer
      throw new GcsError(503, `Cloud Storage kept ${from} of ${end} bytes`)
    } catch (error) {
      await wire.again(error, ++failures, signal)
    }
    const status = await wire.send({ ...put, headers: { 'content-range': `bytes */${total}` } })
    if (status.status !== 308) return { ...status, attempt: failures + 1 }
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
  if (bytes < start || bytes > end)
    throw new Error(`Cloud Storage has ${bytes} bytes of an upload, not ${start} to ${end}`)
  return bytes
}

async function verified(
  wire: Wire,
  to: Upload,
  answer: Answer,
  md5: string,
): Promise<Uploaded> {
  const uploaded = outcomeOf(answer)
  const object = answer.body as { md5Hash?: string; generation?: string }
  if (uploaded.outcome === 'exists' || !object.md5Hash || object.md5Hash === md5)
    return uploaded
  await wire.send({
    method: 'DELETE',
    url: `/storage/v1/b/${to.bucket}/o/${encodeURIComponent(to.name)}`,
    query: { generation: object.generation },
    answers: [404],
  })
  throw new Error(`gs://${to.bucket}/${to.name} arrived damaged and was removed again`)
}

function outcomeOf(answer: Answer): Uploaded {
  return answer.status === 412
    ? { outcome: 'exists', doubtful: answer.attempt > 1 }
    : { outcome: 'created' }
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
