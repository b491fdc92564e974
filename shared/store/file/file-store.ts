import { lstat, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StoreDriver } from '../driver/driver.ts'
import { checkedFolder, checkedName, checkedPrefix } from '../driver/object-name.ts'
import { createFile, tryWriting } from './create.ts'
import { readFile, readFileInto } from './read.ts'
import { fileRoot, isMissing, undefinedIfMissing } from './root.ts'
import { notRegular, objectStat } from './stat.ts'
import { listFiles, removeFolder, removeTemporary } from './tree.ts'

interface FileStore extends StoreDriver {
  /**
   * Removes temporary files that crashed creates left and that have not been written to for `olderThanMs` milliseconds,
   * which must be longer than any create may pause. @returns how many were removed.
   */
  sweepTemporary(olderThanMs: number, options?: { signal?: AbortSignal }): Promise<number>
}

/**
 * A store in a folder on a local disk or an NFS export, which hosts may share. An object is a regular file. Its
 * content type is not stored; the extension of its name implies it. Errors of the system (ENOSPC, ESTALE, EIO, …)
 * pass through unchanged, to be retried.
 */
export function fileStore(folder: string): FileStore {
  const root = fileRoot(folder)
  const pathOf = (name: string) => root.pathOf(checkedName(name))

  return {
    crossesWan: false,
    uploads: { kind: 'folder', folder },
    async stat(name, options) {
      options?.signal?.throwIfAborted()
      const held = await root.file(pathOf(name))
      held?.close()
      return held && objectStat(name, held.stat)
    },
    async read(name, options) {
      return readFile(root, pathOf(name), options)
    },
    async readInto(name, target, options) {
      return readFileInto(root, pathOf(name), target, options)
    },
    async create(name, body, options) {
      return createFile(root, pathOf(name), body, options.signal)
    },
    async remove(name) {
      const path = pathOf(name)
      const folder = await root.folder(dirname(path)).catch(undefinedIfMissing)
      if (folder === undefined) return
      const inside = folder.at(basename(path))
      try {
        await unlink(inside)
      } catch (error) {
        if (isMissing(error)) return
        const found = await lstat(inside).catch(() => undefined)
        throw found?.isDirectory() ? notRegular(path, found) : error
      } finally {
        folder.close()
      }
    },
    list(prefix, options) {
      return listFiles(root, checkedPrefix(prefix), options?.signal)
    },
    async removeAll(prefix) {
      await removeFolder(root, checkedFolder(prefix))
    },
    probe(options) {
      return tryWriting(root.path, options?.signal)
    },
    uri(name) {
      return pathToFileURL(pathOf(name)).href
    },
    sweepTemporary(olderThanMs, options) {
      return removeTemporary(root, root.path, olderThanMs, options?.signal)
    },
  }
}
