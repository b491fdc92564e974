import { randomUUID } from 'node:crypto'
import { type FileHandle, link, lstat, mkdir, open, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { abortable } from './abortable.ts'
import type { Body, Created } from './driver.ts'
import { type FileRoot, hasCode, isMissing } from './file-root.ts'
import { notRegular } from './file-stat.ts'
import { TEMPORARY } from './object-name.ts'

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
      return await fill(opened, body, signal)
    } catch (error) {
      // Somebody removed the folder with our file in it. A stream cannot be read again.
      const mayRetry = hasCode(error, 'ENOENT') && body instanceof Uint8Array
      if (!mayRetry || attempt >= ATTEMPTS) throw error
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
  readonly folder: Folder
}

async function openTemporary(root: FileRoot, path: string): Promise<Temporary> {
  for (let attempt = 1; ; attempt++) {
    try {
      const folder = await folderFor(root, path)
      const temporary = join(folder.path, TEMPORARY + randomUUID())
      const file = await open(temporary, 'wx')
      return { file, path: temporary, target: join(folder.path, basename(path)), folder }
    } catch (error) {
      if (!hasCode(error, 'ENOENT') || attempt >= ATTEMPTS) throw error
    }
  }
}

async function fill(
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
    linked = await linkOnce(path, target)
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
  await unlink(path).catch(ignoreMissing)
  // Also when it was there: its creator may not have got so far, and the caller will build on it.
  await Promise.all(folder.unsynced.map(syncFolder))
  return linked
}

async function linkOnce(temporary: string, path: string): Promise<Created> {
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
    const found = await lstat(path).catch(undefinedIfMissing)
    if (!found) continue
    const target = found.isSymbolicLink() ? await stat(path) : found
    if (!target.isFile()) throw notRegular(path, target)
    return 'exists'
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

interface Folder {
  readonly path: string
  /** Folders that hold entries which are not known to be durable yet: itself, and those above new ones. */
  readonly unsynced: readonly string[]
}

/** The folder that `path` goes into, made if need be, all links followed. */
async function folderFor(root: FileRoot, path: string): Promise<Folder> {
  const wanted = dirname(path)
  let existing = wanted
  let real: string | undefined
  while (real === undefined) {
    try {
      real = await root.real(existing)
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      if (existing.length <= root.path.length) break
      existing = dirname(existing)
    }
  }
  if (existing === wanted && real !== undefined) return { path: real, unsynced: [real] }
  // mkdir follows links, so it goes on from where we have looked.
  const made = join(real ?? existing, wanted.slice(existing.length))
  const first = await mkdir(made, { recursive: true })
  return { path: made, unsynced: upTo(made, dirname(first ?? made)) }
}

/** A folder and those above it, up to and with `last`. */
function upTo(folder: string, last: string): string[] {
  const folders = [folder]
  for (let at = folder; at.length > last.length; folders.push(at)) at = dirname(at)
  return folders
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(undefinedIfMissing)
  if (!folder) return
  try {
    await folder.sync()
  } catch (error) {
    // File systems that cannot do this keep their entries safe by themselves, or not at all.
    if (!hasCode(error, 'EINVAL', 'ENOTSUP', 'ENOSYS')) throw error
  } finally {
    await folder.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at)
    at += bytesWritten
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}
