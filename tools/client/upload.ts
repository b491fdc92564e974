import { createReadStream, openAsBlob } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { UploadSession } from '#shared/contracts/api/upload.ts'
import { crc32c, crc32cText } from '#shared/store/gcs/crc32c.ts'
import { ask, isPassing, json, Refused, refusal } from './client.ts'
import { authorization, type Target } from './target.ts'

interface UploadOptions {
  /** The sha256 of the file. */
  readonly sha256: string
  /** Whether a track that has another master may get this one. */
  readonly mayReplace: boolean
  readonly signal: AbortSignal
  /** Called with the number of bytes that have arrived, and the size of the file. */
  readonly onBytes?: (done: number, of: number) => void
}

/** Bytes of a piece: a multiple of Cloud Storage's unit of 256 KiB. Progress is reported after each. */
const PIECE_BYTES = 16 * 1024 * 1024
/** An upload is given up when no piece has arrived for this long, ms. */
const PATIENCE_MS = 120_000
const EVERY_MS = 1_000
/** An upload is given up when it has arrived damaged this often. */
const MAX_DAMAGED = 5
/** Time limit of a request or a piece, ms. It is sent again after that. */
const ANSWER_MS = 30_000
const PIECE_MS = 600_000

type Uploaded = Pick<UploadSession, 'master_uri' | 'replaces'>

interface Session {
  /** The URL that pieces are PUT to. */
  readonly url: string
  /** Whether that is the API itself; else it is Cloud Storage, whose session needs no token and gets none. */
  readonly isApi: boolean
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Uploads a file as the master of a track, in pieces, and resumes after the last piece that arrived. When the API
 * keeps masters itself, it also resumes an upload of the same file that another process began.
 * @returns the URI of these very bytes, and the sha256 of other content that the track had before, if any.
 * @throws Refused, with 409 and OTHER_CONTENT when the track has another master and `mayReplace` is false, with 422 and
 * MASTER_UNREADABLE when the file is empty; an Error when the file changes meanwhile, or no piece arrives for two minutes.
 */
export async function uploadMaster(
  target: Target,
  guid: string,
  path: string,
  { sha256, mayReplace, signal, onBytes = () => {} }: UploadOptions,
): Promise<Uploaded> {
  const before = await stat(path)
  if (before.size === 0) {
    const words = `The file ${path} is empty (0 bytes); expected audio.`
    throw new Refused(422, `MASTER_UNREADABLE: ${words}`)
  }
  const sum = await sumOf(path, signal)
  const announced = { sha256, crc32c: sum, bytes: before.size, replace: mayReplace }
  const body = await openAsBlob(path)
  let heard = performance.now()
  let damaged = 0
  let session: Session | undefined
  let offset: number | undefined
  let uploaded: Uploaded | undefined
  for (;;) {
    try {
      if (session === undefined) {
        const begin = await begun(target, guid, announced, signal)
        // The first answer counts: after a restart, the track's previous content may be these very bytes.
        uploaded ??= begin
        if (begin.session === undefined) return uploaded
        session = begin.session
      }
      offset ??= await standing(session, before.size, signal)
      onBytes(offset ?? 0, before.size)
      if (offset === undefined) session = undefined
      else if (offset >= before.size) break
      else {
        offset = await sent(session, body, offset, signal)
        heard = performance.now()
      }
    } catch (error) {
      const isOver = performance.now() - heard > PATIENCE_MS
      // Cloud Storage refuses bytes that differ from the announced ones, and keeps none of them.
      const isDamaged = isRefusedByStore(error, session) && ++damaged < MAX_DAMAGED
      if (signal.aborted || isOver || !(isDamaged || isWorthAnother(error))) throw error
      if (isDamaged) session = undefined
      offset = undefined
      await sleep(EVERY_MS, undefined, { signal })
    }
  }
  const after = await stat(path)
  const isSame = after.size === before.size && after.mtimeMs === before.mtimeMs
  if (isSame && uploaded !== undefined) return uploaded
  throw new Error(`${path} has changed while it was sent`)
}

async function begun(
  target: Target,
  guid: string,
  announced: {
    readonly sha256: string
    readonly crc32c: string
    readonly bytes: number
    readonly replace: boolean
  },
  signal: AbortSignal,
): Promise<Uploaded & { session: Session | undefined }> {
  const path = `/v1/masters/${encodeURIComponent(guid)}`
  const own = authorization(target)
  const { url, headers, master_uri, replaces } = json<UploadSession>(
    await ask(target.url, path, {
      method: 'POST',
      headers: { ...own, 'content-type': 'application/json' },
      body: JSON.stringify(announced),
      signal,
    }),
  )
  const uploaded = { master_uri, ...(replaces === undefined ? {} : { replaces }) }
  if (url === null) return { ...uploaded, session: undefined }
  if (/^https?:/.test(url)) return { ...uploaded, session: { url, isApi: false, headers } }
  // The upload is named by its content, so that another process that sends the same file resumes it.
  const named = `${target.url}${path}?upload=${announced.sha256}`
  return { ...uploaded, session: { url: named, isApi: true, headers: { ...own, ...headers } } }
}

/** The number of bytes that have arrived; undefined when the session is gone. */
async function standing(
  { url, isApi, headers }: Session,
  bytes: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (isApi) {
    const response = await fetch(url, {
      method: 'HEAD',
      headers,
      signal: within(ANSWER_MS, signal),
    })
    if (response.status === 404) return 0
    if (!response.ok) throw new Refused(response.status, `${response.status}: the upload`)
    return response.headers.get('upload-complete') === '?1'
      ? bytes
      : Number(response.headers.get('upload-offset'))
  }
  const range = { ...headers, 'content-range': `bytes */${bytes}` }
  const response = await fetch(url, {
    method: 'PUT',
    headers: range,
    body: '',
    redirect: 'manual',
    signal: within(ANSWER_MS, signal),
  })
  if (response.status === 404 || response.status === 410) return undefined
  return response.ok ? bytes : await kept(response)
}

/** Sends a piece. @returns the number of bytes that have arrived now. */
async function sent(
  { url, isApi, headers }: Session,
  body: Blob,
  offset: number,
  signal: AbortSignal,
): Promise<number> {
  const end = Math.min(offset + PIECE_BYTES, body.size)
  const response = await fetch(url, {
    method: 'PUT',
    headers: { ...headers, 'content-range': `bytes ${offset}-${end - 1}/${body.size}` },
    body: body.slice(offset, end),
    signal: within(PIECE_MS, signal),
    redirect: 'manual',
  })
  if (isApi && response.ok) return end
  if (response.ok) return body.size
  return await kept(response)
}

/** The number of bytes that Cloud Storage has of an incomplete upload. @throws Refused for any other response. */
async function kept(response: Response): Promise<number> {
  if (response.status === 308) {
    const [, last] = /-(\d+)$/.exec(response.headers.get('range') ?? '') ?? []
    return last === undefined ? 0 : Number(last) + 1
  }
  throw await refusal(response)
}

function isRefusedByStore(error: unknown, session: Session | undefined): boolean {
  return session?.isApi === false && error instanceof Refused && error.status === 400
}

/** Whether the upload may go on after this error, once the number of bytes that arrived is known. */
function isWorthAnother(error: unknown): boolean {
  if (String(error).includes('OTHER_CONTENT')) return false
  if (error instanceof Refused && error.status === 409) return true
  const isLate = error instanceof Error && error.name === 'TimeoutError'
  return isLate || isPassing(error) || String(error).includes('UPLOAD_INCOMPLETE')
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)])
}

/** CRC-32C of a file, as Cloud Storage writes it. */
async function sumOf(path: string, signal: AbortSignal): Promise<string> {
  let sum = 0
  const chunks = createReadStream(path, { highWaterMark: 1 << 20, signal })
  for await (const chunk of chunks) sum = crc32c(chunk, sum)
  return crc32cText(sum)
}
