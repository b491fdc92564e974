import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import {
  copyFile,
  type FileHandle,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { HttpError } from '#shared/contracts/errors/http.ts'
import { uploadUri } from '#shared/contracts/uploads.ts'
import { TEMPORARY } from '#shared/store/driver/object-name.ts'
import { type OpenFolder, openFolder } from '#shared/store/file/folder.ts'
import { type FileRoot, undefinedIfMissing } from '#shared/store/file/root.ts'
import {
  digestMismatch,
  emptyMaster,
  FINISHED,
  linkUpload,
  type UploadFolder,
  writeBody,
} from './upload-folder.ts'
import type { Piece, Resumable, Standing } from './uploads.ts'

/** A writer of another replica that has written nothing for this time is taken to be dead, ms. */
const STALE_MS = 30_000
/**
 * The ends of file names: of an upload between two requests, and of the file that holds the sha256 of a
 * complete upload.
 */
const IDLE = '@idle'
const DONE = '@done'

/**
 * Uploads in pieces. Each upload is a temporary file in its track's folder: `.~{upload}@idle` between requests,
 * `.~{upload}@{random}` while a request writes to it. A request claims an upload by renaming it; of several
 * requests one succeeds, also between replicas. No file ever has two writers: a request that claims an upload
 * from a dead writer takes a copy. If that writer comes back, even hours later, it writes to a file that is
 * used no more.
 */
export function resumableUploads(place: UploadFolder): Resumable {
  const writers = new Map<string, { stop: AbortController; ended: Promise<unknown> }>()

  /** Runs `act` in the folder of a track. */
  async function within<T>(guid: string, act: (folder: OpenFolder) => Promise<T>): Promise<T> {
    const folder = await openFolder(place.root, join(place.root.path, guid))
    try {
      return await act(folder)
    } finally {
      await folder.close()
    }
  }

  async function append(guid: string, upload: string, piece: Piece): Promise<Standing> {
    const key = `${guid}@${upload}`
    const before = writers.get(key)
    // A client that sends again has given up its earlier request, even if this process has not noticed.
    before?.stop.abort(conflict('another request goes on with this upload', undefined))
    await before?.ended
    const stop = new AbortController()
    const signal =
      piece.signal === undefined ? stop.signal : AbortSignal.any([piece.signal, stop.signal])
    const work = within(guid, (folder) =>
      appendAlone(folder, guid, upload, { ...piece, signal }),
    )
    const entry = { stop, ended: work.catch(() => {}) }
    writers.set(key, entry)
    try {
      return await work
    } finally {
      if (writers.get(key) === entry) writers.delete(key)
    }
  }

  async function appendAlone(
    folder: OpenFolder,
    guid: string,
    upload: string,
    piece: Piece,
  ): Promise<Standing> {
    const pathOf = (state: string) => folder.at(`${TEMPORARY}${upload}${state}`)
    const mine = pathOf(`@${randomUUID()}`)
    const { offset, isLast, sha256, signal } = piece
    if (offset === undefined) {
      await rm(pathOf(DONE), { force: true })
      await rm(pathOf(IDLE), { force: true })
      await (await open(mine, 'wx')).close()
    } else {
      const whole = await claim(folder, guid, upload, mine, offset)
      if (whole !== undefined) return whole
    }
    const file = await open(mine, constants.O_RDWR | constants.O_NOFOLLOW)
    const from = offset ?? 0
    // If an earlier request has written the beginning, the whole file is read at the end to compute the hash.
    const hash = from === 0 ? createHash('sha256') : undefined
    let isKept = true
    try {
      const end = await writePiece(file, piece, from, (chunk) => hash?.update(chunk))
      await file.sync()
      if (!isLast) return { state: 'partial', offset: end }
      const found = hash?.digest('hex') ?? (await sha256Of(file, signal))
      if (end === 0) throw emptyMaster(`The master of the track ${guid}`)
      isKept = sha256 === undefined || sha256 === found
      if (sha256 !== undefined && sha256 !== found) throw digestMismatch(sha256, found)
      await piece.onWhole?.(found)
      isKept = false
      await file.chmod(FINISHED)
      const stored = await linkUpload(place, mine, {
        assetGuid: guid,
        sha256: found,
        bytes: end,
      })
      await writeFile(pathOf(DONE), found)
      return { state: 'whole', offset: end, stored }
    } catch (error) {
      if (isTooLarge(error)) isKept = false
      throw error
    } finally {
      await file.close()
      if (isKept) await release(mine, pathOf(IDLE))
      else await rm(mine, { force: true })
    }
  }

  /**
   * Claims the upload for this request, or finds that it is complete.
   * @throws HttpError UPLOAD_CONFLICT
   */
  async function claim(
    folder: OpenFolder,
    guid: string,
    upload: string,
    mine: string,
    offset: number,
  ): Promise<Standing | undefined> {
    const idle = folder.at(`${TEMPORARY}${upload}${IDLE}`)
    if (!(await renamed(idle, mine))) {
      const found = await find(folder, upload)
      if (found === undefined) {
        if (offset === 0) {
          await (await open(mine, 'wx')).close()
          return undefined
        }
        throw conflict(`nothing has come of this upload, so it stands at 0, not ${offset}`, 0)
      }
      if (found.path.endsWith(DONE)) {
        const whole = await standingIn(folder, guid, upload)
        if (whole !== undefined && offset === whole.offset) return whole
        throw conflict('this upload is whole', whole?.offset ?? 0)
      }
      const isStale = Date.now() - found.modified.getTime() > STALE_MS
      if (!isStale || !(await renamed(found.path, mine))) {
        throw conflict('another request is writing to this upload', found.bytes)
      }
      await replaceByCopy(place.root, folder, mine)
    }
    const { size } = await stat(mine)
    if (size === offset) return undefined
    await rename(mine, idle)
    throw conflict(`this upload stands at ${size}, not ${offset}`, size)
  }

  async function find({ path: folder, at }: Place, upload: string) {
    const names = await readdir(folder).catch(() => [])
    const mine = names.filter((name) => name.startsWith(`${TEMPORARY}${upload}@`))
    const name = mine.find((each) => each.endsWith(DONE)) ?? mine[0]
    if (name === undefined) return undefined
    const path = at(name)
    const found = await stat(path).catch(() => undefined)
    return found && { path, bytes: found.size, modified: found.mtime }
  }

  async function standingIn(
    folder: Place,
    guid: string,
    upload: string,
  ): Promise<Standing | undefined> {
    const found = await find(folder, upload)
    if (found === undefined) return undefined
    const { path, bytes: offset } = found
    if (!path.endsWith(DONE)) return { state: 'partial', offset }
    const sha256 = await readFile(path, 'utf8').catch(() => '')
    const finished = /^[0-9a-f]{64}$/.test(sha256)
      ? await stat(folder.at(`${sha256}.upload`)).catch(() => undefined)
      : undefined
    if (finished !== undefined) {
      const { size: bytes } = finished
      const master_uri = uploadUri(guid, sha256)
      const stored = { asset_guid: guid, sha256, bytes, master_uri, created: false }
      return { state: 'whole', offset: bytes, stored }
    }
    // The master itself has been removed since, so the upload starts anew.
    await rm(path, { force: true })
    return undefined
  }

  return {
    append,
    async standing(guid, upload) {
      const path = join(place.root.path, guid)
      const folder = await place.root.folder(path).catch(undefinedIfMissing)
      try {
        return folder && (await standingIn(folder, guid, upload))
      } finally {
        await folder?.close()
      }
    },
  }
}

/** A folder whose files can be read. */
type Place = Pick<OpenFolder, 'at' | 'path'>

/** Replaces the file by a copy. A writer that still has the file open keeps writing to the old one. */
async function replaceByCopy(root: FileRoot, folder: OpenFolder, path: string): Promise<void> {
  const copy = folder.at(`${TEMPORARY}${randomUUID()}`)
  const held = await root.file(path)
  try {
    if (held) await copyFile(held.path, copy, COPYING)
    await rename(copy, path)
  } catch (error) {
    await rm(copy, { force: true })
    throw error
  } finally {
    await held?.close()
  }
}

const COPYING = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE

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
    throw new HttpError('BAD_REQUEST', `The body is longer than the ${length} bytes announced.`)
  }
  if (length === undefined || end === from + length) return end
  throw new HttpError(
    'UPLOAD_INCOMPLETE',
    `${end - from} bytes came, ${length} were announced; the upload stands at ${end}.`,
  )
}

/** Makes an upload available to the next request, or removes it if it is empty. */
async function release(mine: string, idle: string): Promise<void> {
  const found = await stat(mine).catch(() => undefined)
  if (found !== undefined && found.size > 0) await rename(mine, idle)
  else await rm(mine, { force: true })
}

function isTooLarge(error: unknown): boolean {
  return error instanceof HttpError && error.code === 'TOO_LARGE'
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

async function sha256Of(file: FileHandle, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256')
  const how = { start: 0, highWaterMark: 1 << 20, autoClose: false }
  const chunks = file.createReadStream({ ...how, ...(signal && { signal }) })
  for await (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}

function conflict(why: string, offset: number | undefined): HttpError {
  const at = offset === undefined ? {} : { at: `byte ${offset}` }
  return new HttpError('UPLOAD_CONFLICT', `${why[0]?.toUpperCase()}${why.slice(1)}.`, at)
}
