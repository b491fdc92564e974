import { readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { UsageError } from '../terminal/usage.ts'
import { eventually } from './eventually.ts'

/** The folder in which a chain on one machine keeps everything. */
export interface DataFolder {
  readonly path: string
  readonly masters: string
  readonly assets: string
  readonly scratch: string
  readonly uploads: string
  readonly database: string
  /** File of the Pub/Sub server. */
  readonly queue: string
  /** File with the token of the Pub/Sub server, readable by its owner only. */
  readonly token: string
  /** File with the keys by which links to assets are signed, readable by its owner only. */
  readonly linkKeys: string
  readonly log: string
  /** Folder of Node's compile cache. */
  readonly compiled: string
  /** File that lists the processes of the chain. */
  readonly roll: string
  /** Records the port of the chain's API, for the commands that call it. */
  announce(port: number, fault?: (sentence: string) => void): void
  /** Releases the folder, so that another chain can take it. */
  release(): void
}

/** Another chain uses the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError'
}

/** The permission bits of other users. Tracks, tokens in messages and texts by people are not for them. */
const OTHERS = 0o077

/**
 * Makes the folder and locks it for this process, until `release` or the process's end. Sets the umask, so that files
 * which this process and its children create, here and elsewhere, are accessible to their own user only.
 * @throws FolderInUseError when another chain uses it; UsageError when every user may write to it.
 */
export async function takeDataFolder(folder: string): Promise<DataFolder> {
  const path = resolve(folder)
  const at = (...names: string[]) => join(path, ...names)
  process.umask(OTHERS)
  for (const name of ['masters', 'assets', 'scratch', 'uploads', 'logs']) {
    await mkdir(at(name), { recursive: true })
  }
  if (((await stat(path)).mode & 0o002) !== 0)
    throw new UsageError(`Everybody may write to ${path}: --data needs a folder of its own.`)
  await closeToOthers(path)
  return {
    path,
    masters: at('masters'),
    assets: at('assets'),
    scratch: at('scratch'),
    uploads: at('uploads'),
    database: at('database'),
    queue: at('pubsub.sqlite'),
    token: at('pubsub-token'),
    linkKeys: at('link-keys.json'),
    log: at('logs', 'trackchain.log'),
    compiled: at('compiled'),
    roll: at('processes.json'),
    ...lock(path),
  }
}

/**
 * Withdraws the permissions of other users, also from files of an earlier release. Files of another owner are left
 * alone.
 */
async function closeToOthers(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true })
  const own = entries.filter((entry) => entry.isFile() || entry.isDirectory())
  for (const { name } of own.filter((entry) => entry.name !== 'database'))
    await withhold(join(path, name), OTHERS)
  // Run as root, PostgreSQL gets another account, which has to pass through to its own folder and needs to list nothing.
  await withhold(path, OTHERS)
  if (process.getuid?.() === 0) await chmod(path, 0o711)
}

async function withhold(path: string, bits: number): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & bits) === 0) return
  await chmod(path, mode & 0o7777 & ~bits).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM') throw error
  })
}

/** The port of the API of the chain that uses the folder; undefined when none does. */
export function runningPort(folder: string): number | undefined {
  try {
    const { pid, port } = JSON.parse(readFileSync(ownerFile(folder), 'utf8'))
    process.kill(pid, 0)
    return Number.isInteger(port) ? port : undefined
  } catch {
    return undefined
  }
}

/** The URI of a folder in the form that settings have it: with a slash at its end. */
export function folderUri(path: string): string {
  return `${pathToFileURL(resolve(path)).href.replace(/\/$/, '')}/`
}

/**
 * Locks the folder by SQLite, whose locks are the kernel's: the lock ends with the process, however that ends. A file
 * with a process id would stay.
 */
function lock(folder: string): Pick<DataFolder, 'announce' | 'release'> {
  const database = new DatabaseSync(join(folder, 'lock.sqlite'))
  try {
    database.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    database.close()
    if (!/locked/.test(String(error))) throw error
    throw new FolderInUseError(`${folder} is in use by ${ownerOf(ownerFile(folder))}`)
  }
  let owner: object = { pid: process.pid, since: new Date().toISOString() }
  let tell: (sentence: string) => void = () => {}
  const saving = eventually(
    ownerFile(folder),
    () => writeFileSync(ownerFile(folder), JSON.stringify(owner)),
    (sentence) => tell(sentence),
  )
  saving.save()
  return {
    announce(port, fault = () => {}) {
      owner = { ...owner, port }
      tell = fault
      saving.save()
    },
    release() {
      saving.stop()
      database.close()
    },
  }
}

function ownerFile(folder: string): string {
  return join(folder, 'owner.json')
}

function ownerOf(path: string): string {
  try {
    const { pid, since } = JSON.parse(readFileSync(path, 'utf8'))
    return `another chain (process ${pid}, since ${since})`
  } catch {
    return 'another chain'
  }
}
