import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type FileRoot, type HeldFolder, hasCode } from './root.ts'

/** A folder to create in. To be closed. */
export interface OpenFolder {
  /** What stands under a name in this very folder. */
  at(name: string): string
  /** Itself, to be listed. */
  readonly path: string
  /** Makes its entries durable, and those of the folders that were made on the way. */
  sync(): Promise<void>
  close(): Promise<void>
}

/** How often a folder may vanish under us before we let the caller try again later. */
const ATTEMPTS = 50

/**
 * The folder at a path inside the root, made if need be, all links followed that stay inside.
 * @throws PermanentError MASTER_OUT_OF_BOUNDS; ENOTDIR where a file stands.
 */
export async function openFolder(root: FileRoot, path: string): Promise<OpenFolder> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await opened(root, path)
    } catch (error) {
      if (!hasCode(error, 'ENOENT') || attempt >= ATTEMPTS) throw error
    }
  }
}

async function opened(root: FileRoot, path: string): Promise<OpenFolder> {
  const missing: string[] = []
  let folder = await root.folder(path)
  for (let at = path; folder === undefined; ) {
    if (at.length <= root.path.length) {
      await makeRoot(root.path)
      folder = await root.folder(root.path)
      continue
    }
    missing.unshift(at.slice(dirname(at).length).replace(/^\//, ''))
    at = dirname(at)
    folder = await root.folder(at)
  }
  const held: HeldFolder[] = [folder]
  try {
    for (const name of missing) {
      const within = (held.at(-1) as HeldFolder).at(name)
      await mkdir(within).catch((error) => {
        if (!hasCode(error, 'EEXIST')) throw error
      })
      const next = await root.folder(within)
      if (!next) throw Object.assign(new Error(`${path} has gone again`), { code: 'ENOENT' })
      held.push(next)
    }
  } catch (error) {
    await Promise.all(held.map((each) => each.close()))
    throw error
  }
  const last = held.at(-1) as HeldFolder
  return {
    at: (name) => last.at(name),
    path: last.path,
    async sync() {
      await Promise.all(held.map((each) => each.sync()))
    },
    async close() {
      await Promise.all(held.map((each) => each.close()))
    },
  }
}

/** Makes the root itself, and what is above it, durably. */
async function makeRoot(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true })
  if (first === undefined) return
  for (let at = dirname(path); at.length >= dirname(first).length; at = dirname(at)) {
    const folder = await open(at, 'r')
    await folder
      .sync()
      .catch(() => {})
      .finally(() => folder.close())
    if (at === dirname(at)) break
  }
}
