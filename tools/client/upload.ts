import { createReadStream, openAsBlob } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { crc32c, crc32cText } from '#shared/store/gcs/crc32c.ts'
import { ask, isPassing, json, Refused, refusal } from './client.ts'
import { authorization, type Target } from './target.ts'

interface UploadOptions {
  /** Of the file. */
  readonly sha256: string
  /** Whether a track that has another master may get this one. */
  readonly mayReplace: boolean
  readonly signal: AbortSignal
  /** Told how many bytes of how many are there. */
  readonly onBytes?: (done: number, of: number) => void
}

/** A whole number of Cloud Storage's units of 256 KiB; what is told to a person at a time. */
const PIECE_BYTES = 16 * 1024 * 1024
/** When no piece has got through for so long it is given up, ms. */
const PATIENCE_MS = 120_000
const EVERY_MS = 1_000
/** What arrives damaged so often is given up. */
const MAX_DAMAGED = 5
/** A question that nobody answers is asked again, and a piece that hangs is sent again, ms. */
const ANSWER_MS = 30_000
const PIECE_MS = 600_000

interface Uploaded {
  /** Names these very bytes. */
  readonly master_uri: string
  /** The sha256 of what was the track's latest upload before, where that is other content. */
  readonly replaces?: string
}

interface Session {
  /** Where pieces are put. */
  readonly url: string
  /** Whether that is the API itself; else Cloud Storage, whose session needs no token and gets none. */
  readonly isApi: boolean
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Uploads a file as the master of a track, in pieces, and goes on behind the last one that arrived: also when the API
 * keeps masters itself and the same file was cut off in another process.
 * @returns the URI of these very bytes, and what else was the track's latest upload before, if anything.
 * @throws Refused, with 409 and OTHER_CONTENT when the track has another master and may not get this one; an Error when the file changes meanwhile, or nothing gets through for two minutes.
 */
export async function uploadMaster(
  target: Target,
  guid: string,
  path: string,
  { sha256, mayReplace, signal, onBytes = () => {} }: UploadOptions,
): Promise<Uploaded> {
  const before = await stat(path)
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
        // Begun anew, what was in its place may be these very bytes.
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
      // So Cloud Storage refuses bytes that are not those announced; nothing is kept of them.
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
  type Answer = Uploaded & { url: string | null; headers: Record<string, string> }
  const { url, headers, master_uri, replaces } = json<Answer>(
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
  // Named by its content, so that whoever sends the same file again goes on where this ends.
  const named = `${target.url}${path}?upload=${announced.sha256}`
  return { ...uploaded, session: { url: named, isApi: true, headers: { ...own, ...headers } } }
}

/** Bytes that are there; undefined when the session is gone. */
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
    ...{ method: 'PUT', headers: range, body: '', redirect: 'manual' },
    signal: within(ANSWER_MS, signal),
  })
  if (response.status === 404 || response.status === 410) return undefined
  return response.ok ? bytes : await kept(response)
}

/** Sends a piece. @returns the bytes that are there now. */
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

/** What Cloud Storage has of an upload that is not whole. @throws Refused for any other answer. */
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

/** Whether it may be another matter in a moment, or once it is known where the upload stands. */
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
