import { randomUUID } from 'node:crypto'
import { type FileHandle, link, lstat, mkdir, open, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { abortable } from '../../async/abort.ts'
import type { Body, Created } from '../driver/driver.ts'
import { TEMPORARY } from '../driver/object-name.ts'
import { type OpenFolder, openFolder } from './folder.ts'
import { type FileRoot, hasCode, READING, undefinedIfMissing } from './root.ts'

/** How often a folder may vanish under us before we let the caller try again later. */
const ATTEMPTS = 50

/**
 * Creates a file whole or not at all, durable when this resolves. link(2), unlike rename, never
 * replaces, also between hosts that share an NFS export.
 * A crash leaves at most a temporary file. Only a disk that fails in the very last fsync can leave
 * the file under its name although this throws: it is whole then, and the next create says `exists`.
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
      // Somebody removed the folder with our file in it. A stream cannot be read again.
      const mayRetry = hasCode(error, 'ENOENT') && body instanceof Uint8Array
      if (!mayRetry || attempt >= ATTEMPTS) throw error
    } finally {
      await opened.folder.close()
    }
  }
}

/** So much must fit: a disk with less room is full. */
const PROBE_BYTES = 1 << 20

/** Writes a temporary file and removes it. @throws as `createFile`. */
export async function tryWriting(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted()
  await mkdir(folder, { recursive: true })
  const path = join(folder, TEMPORARY + randomUUID())
  const file = await open(path, 'wx')
  try {
    await writeAll(file, Buffer.alloc(PROBE_BYTES))
    await file.sync()
  } finally {
    await file.close()
    await unlink(path)
  }
}

interface Temporary {
  readonly file: FileHandle
  readonly path: string
  /** Where it shall be linked. */
  readonly target: string
  readonly folder: OpenFolder
}

async function openTemporary(root: FileRoot, path: string): Promise<Temporary> {
  for (let attempt = 1; ; attempt++) {
    const folder = await openFolder(root, dirname(path))
    try {
      const temporary = folder.at(TEMPORARY + randomUUID())
      const file = await open(temporary, 'wx')
      return { file, path: temporary, target: folder.at(basename(path)), folder }
    } catch (error) {
      await folder.close()
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
      await file.sync()
    } finally {
      await file.close()
    }
    signal?.throwIfAborted()
    linked = await linkOnce(root, path, target)
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
  await unlink(path).catch(undefinedIfMissing)
  // Also when it was there: its creator may not have got so far, and the caller will build on it.
  await folder.sync()
  return linked
}

/**
 * Gives a file a second name that nobody has yet, or says whether what has it is the same.
 * @throws PermanentError when that is no regular file or lies outside the root.
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
    // An NFS client that sends a link again is told EEXIST by its own first try.
    // Opening asks the server; a bare stat may answer from the client's cache.
    if ((await freshLinks(temporary)) === 2) return 'created'
    const found = await root.file(path)
    if (found) {
      try {
        return (await isSame(temporary, found.path)) ? 'exists' : 'differs'
      } finally {
        await found.close()
      }
    }
    const isLink = (await lstat(path).catch(undefinedIfMissing))?.isSymbolicLink()
    if (isLink) throw new Error(`${path} is a symbolic link that leads nowhere`)
  }
}

async function freshLinks(path: string): Promise<number> {
  const file = await open(path, 'r')
  try {
    return (await file.stat()).nlink
  } finally {
    await file.close()
  }
}

const COMPARED_BYTES = 256 * 1024

/** Whether two files hold the same bytes. */
async function isSame(a: string, b: string): Promise<boolean> {
  const files: FileHandle[] = []
  try {
    const one = await open(a, READING)
    files.push(one)
    const other = await open(b, READING)
    files.push(other)
    const sizes = [(await one.stat()).size, (await other.stat()).size]
    if (sizes[0] !== sizes[1]) return false
    const rooms = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)] as const
    for (let at = 0; at < (sizes[0] as number); at += COMPARED_BYTES) {
      const [x, y] = await Promise.all([readAt(one, rooms[0], at), readAt(other, rooms[1], at)])
      if (!x.equals(y)) return false
    }
    return true
  } finally {
    for (const file of files) await file.close()
  }
}

/** As many bytes as there are, up to the whole room. */
async function readAt(file: FileHandle, room: Buffer, at: number): Promise<Buffer> {
  let filled = 0
  while (filled < room.length) {
    const { bytesRead } = await file.read(room, filled, room.length - filled, at + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return room.subarray(0, filled)
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
}
