import { randomUUID } from 'node:crypto'
import { link, lstat, mkdir, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { abortable } from '../../async/abort.ts'
import type { Body, Created } from '../driver/driver.ts'
import { TEMPORARY } from '../driver/object-name.ts'
import { closeFile, fileStat, openFile, readFrom, syncFile, writeAll } from './descriptor.ts'
import { type OpenFolder, openFolder } from './folder.ts'
import { type FileRoot, hasCode, READING, undefinedIfMissing } from './root.ts'

/** The number of attempts when the folder is removed meanwhile; after that the error goes to the caller. */
const ATTEMPTS = 50

/**
 * Creates a file atomically; it is durable when this resolves. It uses link(2), which, unlike rename, never replaces a
 * file, even between hosts that share an NFS export. A crash leaves at most a temporary file. Only if the last fsync
 * fails can the file exist under its name although this throws; it is complete then, and the next create returns
 * `exists`.
 */
export async function createFile(
  root: FileRoot,
  path: string,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<Created> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    const opened = await openTemporary(root, path)
    try {
      return await fill(root, opened, body, signal)
    } catch (error) {
      // The folder was removed with the file in it. A streamed body cannot be read again.
      const mayRetry = hasCode(error, 'ENOENT') && body instanceof Uint8Array
      if (!mayRetry || attempt >= ATTEMPTS) throw error
    } finally {
      opened.folder.close()
    }
  }
}

/** A disk counts as full when less than this fits, bytes. */
const PROBE_BYTES = 1 << 20

/** Writes a temporary file and removes it. @throws as `createFile`. */
export async function tryWriting(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  await mkdir(folder, { recursive: true })
  const path = join(folder, TEMPORARY + randomUUID())
  const file = await openFile(path, 'wx')
  try {
    await writeAll(file, Buffer.alloc(PROBE_BYTES))
    await syncFile(file)
  } finally {
    await closeFile(file)
    await unlink(path)
  }
}

interface Temporary {
  /** A descriptor. */
  readonly file: number
  readonly path: string
  /** The path to which it will be linked. */
  readonly target: string
  readonly folder: OpenFolder
}

async function openTemporary(root: FileRoot, path: string): Promise<Temporary> {
  for (let attempt = 1; ; attempt++) {
    const folder = await openFolder(root, dirname(path))
    try {
      const temporary = folder.at(TEMPORARY + randomUUID())
      const file = await openFile(temporary, 'wx')
      return { file, path: temporary, target: folder.at(basename(path)), folder }
    } catch (error) {
      folder.close()
      if (!hasCode(error, 'ENOENT') || attempt >= ATTEMPTS) throw error
    }
  }
}

async function fill(
  root: FileRoot,
  { file, path, target, folder }: Temporary,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<Created> {
  let linked: Created
  try {
    try {
      if (body instanceof Uint8Array) await writeAll(file, body)
      else for await (const chunk of abortable(body, signal)) await writeAll(file, chunk)
      await syncFile(file)
    } finally {
      await closeFile(file)
    }
    signal?.throwIfAborted()
    linked = await linkOnce(root, path, target)
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
  await unlink(path).catch(undefinedIfMissing)
  // Synced even if the file existed: its creator may not have synced yet, and the caller relies on it.
  await folder.sync()
  return linked
}

/**
 * Links a file to a name that is free. If the name is taken, compares the bytes with those of the file that has it.
 * @throws StoreError when that is no regular file or lies outside the root.
 */
export async function linkOnce(
  root: FileRoot,
  temporary: string,
  path: string,
): Promise<Created> {
  while (true) {
    try {
      await link(temporary, path)
      return 'created'
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error
    }
    // An NFS client that resends a link gets EEXIST because of its own first attempt.
    // Opening the file asks the server; a bare stat may be answered from the client's cache.
    if ((await freshLinks(temporary)) === 2) return 'created'
    const found = await root.file(path)
    if (found) {
      try {
        return (await isSame(temporary, found.path)) ? 'exists' : 'differs'
      } finally {
        found.close()
      }
    }
    const isLink = (await lstat(path).catch(undefinedIfMissing))?.isSymbolicLink()
    if (isLink) throw new Error(`${path} is a symbolic link that leads nowhere`)
  }
}

async function freshLinks(path: string): Promise<number> {
  const file = await openFile(path, 'r')
  try {
    return Number((await fileStat(file)).nlink)
  } finally {
    await closeFile(file)
  }
}

const COMPARED_BYTES = 256 * 1024

/** Whether two files hold the same bytes. */
async function isSame(a: string, b: string): Promise<boolean> {
  const files: number[] = []
  try {
    const one = await openFile(a, READING)
    files.push(one)
    const other = await openFile(b, READING)
    files.push(other)
    const sizes = [(await fileStat(one)).size, (await fileStat(other)).size]
    if (sizes[0] !== sizes[1]) return false
    const rooms = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)] as const
    for (let at = 0; at < Number(sizes[0]); at += COMPARED_BYTES) {
      const [x, y] = await Promise.all([readAt(one, rooms[0], at), readAt(other, rooms[1], at)])
      if (!x.equals(y)) return false
    }
    return true
  } finally {
    for (const file of files) await closeFile(file)
  }
}

/** Reads until the buffer is full or the file ends. */
async function readAt(file: number, room: Buffer, at: number): Promise<Buffer> {
  let filled = 0
  while (filled < room.length) {
    const place = { at: filled, length: room.length - filled, from: at + filled }
    const bytesRead = await readFrom(file, room, place)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return room.subarray(0, filled)
}
