import type { Dirent } from 'node:fs'
import { lstat, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ObjectName } from '../names.ts'
import type { ObjectStat } from './driver.ts'
import { type FileRoot, hasCode, isMissing } from './file-root.ts'
import { objectStat } from './file-stat.ts'
import { byName, isLegalSegment, TEMPORARY } from './object-name.ts'

/** How many files are looked at or removed at once. */
const WIDTH = 16

/** The regular files whose names begin with `prefix`, in the order of their names. */
export async function* listFiles(
  root: FileRoot,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void, undefined> {
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  try {
    await root.real(root.pathOf(folder))
  } catch (error) {
    if (isMissing(error)) return
    throw error
  }
  yield* listFolder(root, folder, prefix, signal)
}

async function* listFolder(
  root: FileRoot,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat, void, undefined> {
  signal?.throwIfAborted()
  const names = (await entries(root.pathOf(folder)))
    .filter((entry) => isLegalSegment(entry.name))
    // A folder sorts as its objects do: with the slash.
    .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
    .filter((name) => name.startsWith(prefix) || isAbove(name, prefix))
    .sort(byName)
  for (let at = 0; at < names.length; at += WIDTH) {
    signal?.throwIfAborted()
    const some = names.slice(at, at + WIDTH)
    const found = await Promise.all(
      some.map((name) => (name.endsWith('/') ? undefined : look(root, name))),
    )
    for (const [index, name] of some.entries()) {
      if (name.endsWith('/')) yield* listFolder(root, name, prefix, signal)
      else if (found[index]) yield found[index]
    }
  }
}

function isAbove(name: string, prefix: string): boolean {
  return name.endsWith('/') && prefix.startsWith(name)
}

/** A regular file of this name inside the root, also by a link; anything else is passed over. */
async function look(root: FileRoot, name: string): Promise<ObjectStat | undefined> {
  const path = root.pathOf(name)
  try {
    let found = await lstat(path, { bigint: true })
    if (found.isSymbolicLink()) found = await stat(await root.real(path), { bigint: true })
    return found.isFile() ? objectStat(name as ObjectName, found) : undefined
  } catch (error) {
    if (isMissing(error) || (error as Error).name === 'PermanentError') return undefined
    throw error
  }
}

/** Removes a folder and all in it, then the folders above it that are left empty. */
export async function removeFolder(root: FileRoot, folder: string): Promise<void> {
  const path = root.pathOf(folder.slice(0, -1))
  try {
    const real = await root.real(dirname(path))
    await removeTree(join(real, path.slice(dirname(path).length)))
  } catch (error) {
    if (!isMissing(error)) throw error
  }
  for (let above = dirname(path); above.length > root.path.length; above = dirname(above))
    if (!(await removeIfEmpty(above))) return
}

async function removeTree(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) return
  // Creates go on beside us: what they put in after the second look stays.
  for (let look = 1; look <= 2; look++) {
    const found = await entries(path)
    await inBatches(found, async (entry) => {
      const inner = join(path, entry.name)
      if (entry.isDirectory()) await removeTree(inner).catch(ignoreMissing)
      else await unlink(inner).catch(ignoreMissing)
    })
    if (await removeIfEmpty(path)) return
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
  path: string,
  olderThanMs: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = 0
  await inBatches(await entries(path), async (entry) => {
    signal?.throwIfAborted()
    const inner = join(path, entry.name)
    if (entry.isDirectory()) removed += await removeTemporary(inner, olderThanMs, signal)
    else if (entry.isFile() && entry.name.startsWith(TEMPORARY)) {
      const found = await lstat(inner).catch(() => undefined)
      if (!found || Date.now() - found.mtimeMs < olderThanMs) return
      await unlink(inner).then(() => removed++, ignoreMissing)
    }
  })
  return removed
}

async function entries(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function inBatches<T>(items: readonly T[], act: (item: T) => Promise<void>) {
  for (let at = 0; at < items.length; at += WIDTH)
    await Promise.all(items.slice(at, at + WIDTH).map(act))
}

function ignoreMissing(error: unknown): void {
  if (!isMissing(error)) throw error
}
