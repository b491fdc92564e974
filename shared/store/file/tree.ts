import type { Dirent } from 'node:fs'
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { StoreError } from '../../contracts/errors/store.ts'
import type { ObjectName } from '../../contracts/names.ts'
import type { ObjectStat } from '../driver/driver.ts'
import { byName, isLegalSegment, TEMPORARY } from '../driver/object-name.ts'
import {
  type FileRoot,
  type HeldFolder,
  hasCode,
  isMissing,
  undefinedIfMissing,
} from './root.ts'
import { objectStat } from './stat.ts'

/** The number of files that are inspected or removed at once. */
const WIDTH = 16

/** The regular files whose names begin with `prefix`, in the order of the UTF-8 bytes of their names. */
export async function* listFiles(
  root: FileRoot,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void, undefined> {
  const name = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const folder = await root.folder(root.pathOf(name)).catch(undefinedIfMissing)
  if (folder) yield* listFolder(root, { folder, name }, prefix, signal)
}

/** Lists a folder and those below it, and closes the folder at the end. */
async function* listFolder(
  root: FileRoot,
  { folder, name: above }: { folder: HeldFolder; name: string },
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void, undefined> {
  try {
    signal?.throwIfAborted()
    const names = (await entries(folder))
      .filter((entry) => isLegalSegment(entry.name))
      // A folder sorts with its slash, as the names of its objects do.
      .map((entry) => above + entry.name + (entry.isDirectory() ? '/' : ''))
      .filter((name) => name.startsWith(prefix) || isAbove(name, prefix))
      .sort(byName)
    const inside = (name: string) => folder.at(basename(name))
    for (let at = 0; at < names.length; at += WIDTH) {
      signal?.throwIfAborted()
      const some = names.slice(at, at + WIDTH)
      const found = await Promise.all(
        some.map((name) =>
          name.endsWith('/') ? undefined : statFile(root, name, inside(name)),
        ),
      )
      for (const [index, name] of some.entries()) {
        if (found[index]) yield found[index]
        if (!name.endsWith('/')) continue
        const next = await root.folder(inside(name), { isLinkRefused: true })
        if (next) yield* listFolder(root, { folder: next, name }, prefix, signal)
      }
    }
  } finally {
    folder.close()
  }
}

function isAbove(name: string, prefix: string): boolean {
  return name.endsWith('/') && prefix.startsWith(name)
}

/** The metadata of a regular file inside the root, or of one that a link leads to; undefined for anything else. */
async function statFile(
  root: FileRoot,
  name: string,
  path: string,
): Promise<ObjectStat | undefined> {
  try {
    const found = await lstat(path, { bigint: true })
    if (found.isFile()) return objectStat(name as ObjectName, found)
    if (!found.isSymbolicLink()) return undefined
    const held = await root.file(path)
    held?.close()
    return held && objectStat(name as ObjectName, held.stat)
  } catch (error) {
    if (isMissing(error) || error instanceof StoreError) return undefined
    throw error
  }
}

/** Removes a folder and everything in it, then its parent folders as long as they are empty. */
export async function removeFolder(root: FileRoot, folder: string): Promise<void> {
  const path = root.pathOf(folder.slice(0, -1))
  for (let at = path; at.length > root.path.length; at = dirname(at)) {
    const above = await root.folder(dirname(at)).catch(undefinedIfMissing)
    if (!above) continue
    try {
      const inside = above.at(basename(at))
      if (at === path) await removeTree(root, inside)
      if (!(await removeIfEmpty(inside))) return
    } finally {
      above.close()
    }
  }
}

async function removeTree(root: FileRoot, path: string): Promise<void> {
  const folder = await root.folder(path, { isLinkRefused: true })
  if (!folder) return
  try {
    // Creates run concurrently. Entries that they add after the second pass stay.
    for (let pass = 1; pass <= 2; pass++) {
      await inBatches(await entries(folder), async (entry) => {
        const inner = folder.at(entry.name)
        if (entry.isDirectory()) await removeTree(root, inner)
        else await unlink(inner).catch(undefinedIfMissing)
      })
      if (await removeIfEmpty(path)) return
    }
  } finally {
    folder.close()
  }
}

/** @returns whether the folder is gone. */
async function removeIfEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (isMissing(error)) return true
    // A mount point is busy, and the process may lack the permission to remove a folder.
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM')) return false
    throw error
  }
}

/**
 * Removes temporary files that crashed creates left and that have not been written to for `olderThanMs` milliseconds.
 * @returns how many were removed.
 */
export async function removeTemporary(
  root: FileRoot,
  path: string,
  olderThanMs: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const folder = await root.folder(path, { isLinkRefused: path !== root.path })
  if (!folder) return 0
  let removed = 0
  try {
    await inBatches(await entries(folder), async (entry) => {
      signal?.throwIfAborted()
      const inner = folder.at(entry.name)
      if (entry.isDirectory())
        removed += await removeTemporary(root, inner, olderThanMs, signal)
      else if (entry.isFile() && entry.name.startsWith(TEMPORARY)) {
        const found = await lstat(inner).catch(() => undefined)
        if (!found || Date.now() - found.mtimeMs < olderThanMs) return
        await unlink(inner).then(() => removed++, undefinedIfMissing)
      }
    })
  } finally {
    folder.close()
  }
  return removed
}

async function entries(folder: HeldFolder): Promise<Dirent[]> {
  try {
    return await readdir(folder.path, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function inBatches<T>(items: readonly T[], act: (item: T) => Promise<void>) {
  for (let at = 0; at < items.length; at += WIDTH)
    await Promise.all(items.slice(at, at + WIDTH).map(act))
}
