import type { Dirent } from 'node:fs'
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
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

/** How many files are looked at or removed at once. */
const WIDTH = 16

/** The regular files whose names begin with `prefix`, in the order of their names. */
export async function* listFiles(
  root: FileRoot,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void, undefined> {
  const name = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const folder = await root.folder(root.pathOf(name)).catch(undefinedIfMissing)
  if (folder) yield* listFolder(root, { folder, name }, prefix, signal)
}

/** Closes the folder. */
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
      // A folder sorts as its objects do: with the slash.
      .map((entry) => above + entry.name + (entry.isDirectory() ? '/' : ''))
      .filter((name) => name.startsWith(prefix) || isAbove(name, prefix))
      .sort(byName)
    const inside = (name: string) => folder.at(basename(name))
    for (let at = 0; at < names.length; at += WIDTH) {
      signal?.throwIfAborted()
      const some = names.slice(at, at + WIDTH)
      const found = await Promise.all(
        some.map((name) => (name.endsWith('/') ? undefined : look(root, name, inside(name)))),
      )
      for (const [index, name] of some.entries()) {
        if (found[index]) yield found[index]
        if (!name.endsWith('/')) continue
        const next = await root.folder(inside(name), { isLinkRefused: true })
        if (next) yield* listFolder(root, { folder: next, name }, prefix, signal)
      }
    }
  } finally {
    await folder.close()
  }
}

function isAbove(name: string, prefix: string): boolean {
  return name.endsWith('/') && prefix.startsWith(name)
}

/** A regular file inside the root, also by a link; anything else is passed over. */
async function look(
  root: FileRoot,
  name: string,
  path: string,
): Promise<ObjectStat | undefined> {
  try {
    const found = await lstat(path, { bigint: true })
    if (found.isFile()) return objectStat(name as ObjectName, found)
    if (!found.isSymbolicLink()) return undefined
    const held = await root.file(path)
    try {
      return held && objectStat(name as ObjectName, await held.stat())
    } finally {
      await held?.close()
    }
  } catch (error) {
    if (isMissing(error) || (error as Error).name === 'PermanentError') return undefined
    throw error
  }
}

/** Removes a folder and all in it, then the folders above it that are left empty. */
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
      await above.close()
    }
  }
}

async function removeTree(root: FileRoot, path: string): Promise<void> {
  const folder = await root.folder(path, { isLinkRefused: true })
  if (!folder) return
  try {
    // Creates go on beside us: what they put in after the second look stays.
    for (let look = 1; look <= 2; look++) {
      await inBatches(await entries(folder), async (entry) => {
        const inner = folder.at(entry.name)
        if (entry.isDirectory()) await removeTree(root, inner)
        else await unlink(inner).catch(undefinedIfMissing)
      })
      if (await removeIfEmpty(path)) return
    }
  } finally {
    await folder.close()
  }
}

/** True when the folder is gone. */
async function removeIfEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path)
    return true
  } catch (error) {
    if (isMissing(error)) return true
    // ENOTDIR aside: a mount point is busy, and a folder may not be ours to remove.
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'EACCES', 'EPERM')) return false
    throw error
  }
}

/**
 * Removes temporary files that crashed creates left, if nothing was written to them for so long.
 * @returns how many.
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
    await folder.close()
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
