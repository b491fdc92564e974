import { randomUUID } from 'node:crypto'
import {
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  realpath,
  stat,
  unlink,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
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
    const folder = await folderFor(root, path)
    try {
      return await createIn(folder, path, body, signal)
    } catch (error) {
      // Somebody removed the folder between two calls. A stream cannot be read again.
      const vanished = hasCode(error, 'ENOENT') && (body instanceof Uint8Array || unread(error))
      if (!vanished || attempt >= ATTEMPTS) throw error
    }
  }
}

async function createIn(
  folder: string,
  path: string,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<Created> {
  const temporary = join(folder, TEMPORARY + randomUUID())
  const file = await open(temporary, 'wx').catch((error) => {
    throw Object.assign(error, { bodyUnread: true })
  })
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
    linked = await linkOnce(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
  await unlink(temporary).catch(ignoreMissing)
  // Also when it was there: its creator may not have got so far, and the caller will build on it.
  await syncFolder(folder)
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

/** The real path of the folder that `path` goes into, made if need be. */
async function folderFor(root: FileRoot, path: string): Promise<string> {
  const folder = dirname(path)
  try {
    return await root.real(folder)
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  // mkdir follows links, so what is there already must be looked at first.
  let existing = folder
  while (existing.length > root.path.length && !(await exists(existing)))
    existing = dirname(existing)
  if (existing.length > root.path.length) await root.real(existing)
  for (let attempt = 1; ; attempt++) {
    try {
      const first = await mkdir(folder, { recursive: true })
      if (first !== undefined) await syncUp(folder, dirname(first))
      return await root.real(folder)
    } catch (error) {
      if (!hasCode(error, 'ENOENT') || attempt >= ATTEMPTS) throw error
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(undefinedIfMissing)) !== undefined
}

/** Makes new folders durable: each entry lies in the folder above. */
async function syncUp(folder: string, last: string): Promise<void> {
  for (let at = dirname(folder); ; at = dirname(at)) {
    await syncFolder(await realpath(at))
    if (at === last || at === dirname(at)) return
  }
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

function unread(error: unknown): boolean {
  return (error as { bodyUnread?: boolean }).bodyUnread === true
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}
