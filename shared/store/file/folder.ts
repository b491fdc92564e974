import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type FileRoot, type HeldFolder, hasCode } from './root.ts'

/** An open folder in which files are created. The caller has to close it. */
export interface OpenFolder {
  /** A path to the entry of this name in exactly this folder, even if the folder is renamed or replaced. */
  at(name: string): string
  /** A path to the folder itself, to list it. */
  readonly path: string
  /** Makes its entries durable, and those of the parent folders that were created with it. */
  sync(): Promise<void>
  close(): void
}

/** The number of attempts when a folder is removed meanwhile; after that the error goes to the caller. */
const ATTEMPTS = 50

/**
 * Opens the folder at a path inside the root, and creates it if it is missing. Symbolic links are followed if they stay
 * inside the root. @throws StoreError out-of-bounds; ENOTDIR if a file is in the way.
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
    for (const each of held) each.close()
    throw error
  }
  const last = held.at(-1) as HeldFolder
  return {
    at: (name) => last.at(name),
    path: last.path,
    async sync() {
      await Promise.all(held.map((each) => each.sync()))
    },
    close() {
      for (const each of held) each.close()
    },
  }
}

/** Creates the root and its missing parent folders durably. */
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
