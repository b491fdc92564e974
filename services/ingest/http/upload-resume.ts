import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PermanentError } from '#shared/errors.ts'
import { TEMPORARY } from '#shared/store/object-name.ts'
import type { Piece, Resumable, Standing, Stored } from '../uploads.ts'
import { linkUpload, type UploadFolder, uploadName, writeBody } from './upload-file.ts'

/** A writer of another replica that has written nothing for so long has gone, ms. */
const STALE_MS = 30_000
/** The upload as it lies between two requests, and once it is whole: another name of the finished file. */
const IDLE = '@idle'
const DONE = '@done'

/**
 * Uploads in pieces, each a temporary file in its track's folder: `.~{upload}@idle` between requests,
 * `.~{upload}@{random}` while a request writes to it, `.~{upload}@done` once it is whole. Renaming is how a
 * request takes an upload for itself: of several, one succeeds, also between replicas.
 */
export function resumableUploads(place: UploadFolder): Resumable {
  const writers = new Map<string, { stop: AbortController; ended: Promise<unknown> }>()
  const folderOf = (guid: string) => join(place.folder, guid)
  const pathOf = (guid: string, upload: string, state: string) =>
    join(folderOf(guid), `${TEMPORARY}${upload}${state}`)

  async function append(guid: string, upload: string, piece: Piece): Promise<Standing> {
    const key = `${guid}@${upload}`
    const before = writers.get(key)
    // Who sends again has given up the request before, whether or not we have noticed.
    before?.stop.abort(conflict('another request goes on with this upload', undefined))
    await before?.ended
    const stop = new AbortController()
    const signal =
      piece.signal === undefined ? stop.signal : AbortSignal.any([piece.signal, stop.signal])
    const work = appendAlone(guid, upload, { ...piece, signal })
    const entry = { stop, ended: work.catch(() => {}) }
    writers.set(key, entry)
    try {
      return await work
    } finally {
      if (writers.get(key) === entry) writers.delete(key)
    }
  }

  async function appendAlone(guid: string, upload: string, piece: Piece): Promise<Standing> {
    await mkdir(folderOf(guid), { recursive: true })
    const mine = pathOf(guid, upload, `@${randomUUID()}`)
    const { offset, isLast, sha256, signal } = piece
    if (offset === undefined) {
      await rm(pathOf(guid, upload, DONE), { force: true })
      await rm(pathOf(guid, upload, IDLE), { force: true })
      await (await open(mine, 'wx')).close()
    } else {
      const whole = await claim(guid, upload, mine, offset)
      if (whole !== undefined) return whole
    }
    const file = await open(mine, 'r+')
    const from = offset ?? 0
    // What a request before has written is read again at the end.
    const hash = from === 0 ? createHash('sha256') : undefined
    let isKept = true
    try {
      const end = await writePiece(file, piece, from, (chunk) => hash?.update(chunk))
      await file.sync()
      if (!isLast) return { state: 'partial', offset: end }
      const found = hash?.digest('hex') ?? (await sha256Of(mine, signal))
      if (sha256 !== undefined && sha256 !== found) {
        isKept = false
        throw digestMismatch(sha256, found)
      }
      isKept = false
      const stored = await linkUpload(place, mine, {
        assetGuid: guid,
        sha256: found,
        bytes: end,
      })
      const done = pathOf(guid, upload, DONE)
      if (stored.created) await rename(mine, done)
      else await link(join(place.folder, uploadName(guid, found)), done).catch(() => {})
      return { state: 'whole', offset: end, stored }
    } catch (error) {
      if (isTooLarge(error)) isKept = false
      throw error
    } finally {
      await file.close()
      if (isKept) await release(mine, pathOf(guid, upload, IDLE))
      else await rm(mine, { force: true })
    }
  }

  /** Takes the upload for ourselves, or says that it is whole. @throws UPLOAD_CONFLICT. */
  async function claim(
    guid: string,
    upload: string,
    mine: string,
    offset: number,
  ): Promise<Standing | undefined> {
    const idle = pathOf(guid, upload, IDLE)
    if (!(await renamed(idle, mine))) {
      const found = await find(guid, upload)
      if (found === undefined) {
        if (offset === 0) {
          await (await open(mine, 'wx')).close()
          return undefined
        }
        throw conflict(`nothing has come of this upload, so it stands at 0, not ${offset}`, 0)
      }
      if (found.path.endsWith(DONE)) {
        const whole = await standing(guid, upload)
        if (whole !== undefined && offset === whole.offset) return whole
        throw conflict('this upload is whole', found.bytes)
      }
      const isStale = Date.now() - found.modified.getTime() > STALE_MS
      if (!isStale || !(await renamed(found.path, mine))) {
        throw conflict('another request is writing to this upload', found.bytes)
      }
    }
    const { size, nlink } = await stat(mine)
    // It was finished, but whoever did that did not get to say so.
    if (nlink > 1) {
      await rename(mine, pathOf(guid, upload, DONE))
      return claim(guid, upload, mine, offset)
    }
    if (size === offset) return undefined
    await rename(mine, idle)
    throw conflict(`this upload stands at ${size}, not ${offset}`, size)
  }

  async function find(guid: string, upload: string) {
    const folder = folderOf(guid)
    const names = await readdir(folder).catch(() => [])
    const mine = names.filter((name) => name.startsWith(`${TEMPORARY}${upload}@`))
    const name = mine.find((each) => each.endsWith(DONE)) ?? mine[0]
    if (name === undefined) return undefined
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return undefined
    return { path, bytes: found.size, modified: found.mtime, inode: found.ino }
  }

  async function standing(guid: string, upload: string): Promise<Standing | undefined> {
    const found = await find(guid, upload)
    if (found === undefined) return undefined
    const { path, bytes, inode } = found
    if (!path.endsWith(DONE)) return { state: 'partial', offset: bytes }
    const stored = await storedAs(guid, inode, bytes)
    if (stored !== undefined) return { state: 'whole', offset: bytes, stored }
    // The master itself was removed since: the upload begins anew.
    await rm(path, { force: true })
    return undefined
  }

  /** The finished master that is the same file. */
  async function storedAs(
    guid: string,
    inode: number,
    bytes: number,
  ): Promise<Stored | undefined> {
    for (const name of await readdir(folderOf(guid))) {
      const sha256 = /^([0-9a-f]{64})\.upload$/.exec(name)?.[1]
      if (sha256 === undefined) continue
      const found = await stat(join(folderOf(guid), name)).catch(() => undefined)
      if (found?.ino !== inode) continue
      const master_uri = place.driver.uri(uploadName(guid, sha256))
      return { asset_guid: guid, sha256, bytes, master_uri, created: false }
    }
    return undefined
  }

  return { standing, append }
}

async function writePiece(
  file: FileHandle,
  { body, length, mostBytes, signal }: Piece,
  from: number,
  each: (chunk: Uint8Array) => void,
): Promise<number> {
  const most = length === undefined ? mostBytes : Math.min(mostBytes, from + length)
  let end: number
  try {
    end = await writeBody(file, body, { from, mostBytes: most, signal, each })
  } catch (error) {
    const isLonger = isTooLarge(error) && most < mostBytes
    if (!isLonger) throw error
    await file.truncate(from)
    throw new PermanentError(
      'BAD_REQUEST',
      `The body is longer than the ${length} bytes announced.`,
    )
  }
  if (length === undefined || end === from + length) return end
  throw new PermanentError(
    'UPLOAD_INCOMPLETE',
    `${end - from} bytes came, ${length} were announced; the upload stands at ${end}.`,
  )
}

/** Puts an upload back for the next request, unless there is nothing of it. */
async function release(mine: string, idle: string): Promise<void> {
  const found = await stat(mine).catch(() => undefined)
  if (found !== undefined && found.size > 0) await rename(mine, idle)
  else await rm(mine, { force: true })
}

function isTooLarge(error: unknown): boolean {
  return error instanceof PermanentError && error.code === 'TOO_LARGE'
}

async function renamed(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

async function sha256Of(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  const chunks = createReadStream(path, { highWaterMark: 1 << 20, ...(signal && { signal }) })
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

export function digestMismatch(expected: string, found: string): PermanentError {
  return new PermanentError(
    'DIGEST_MISMATCH',
    `The sha256 of what came is ${found}, announced was ${expected}.`,
  )
}

function conflict(why: string, offset: number | undefined): PermanentError {
  const at = offset === undefined ? {} : { at: `byte ${offset}` }
  return new PermanentError('UPLOAD_CONFLICT', `${why[0]?.toUpperCase()}${why.slice(1)}.`, at)
}
