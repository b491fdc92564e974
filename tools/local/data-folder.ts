import { readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { UsageError } from '../terminal/usage.ts'
import { eventually } from './eventually.ts'

/** Everything that a chain on one machine keeps, in one folder. */
export interface DataFolder {
  readonly path: string
  readonly masters: string
  readonly assets: string
  readonly scratch: string
  readonly uploads: string
  readonly database: string
  /** File of the Pub/Sub server. */
  readonly queue: string
  /** File with the token of the Pub/Sub server; for its owner's eyes. */
  readonly token: string
  readonly log: string
  /** What Node keeps of the code it has compiled. */
  readonly compiled: string
  /** File that lists the processes of the chain. */
  readonly roll: string
  /** Leaves word of where the API of the chain is, for the commands that ask it. */
  announce(port: number, fault?: (sentence: string) => void): void
  /** Lets another chain have the folder. */
  release(): void
}

/** Another chain lives in the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError'
}

/** Tracks, tokens in messages, what people wrote: nothing here is for other users of the machine. */
const OTHERS = 0o077

/**
 * Makes the folder and takes it for this process alone, until `release` or the process's end. What this process and
 * those that it starts make from now on is for their own user alone, here and elsewhere.
 * @throws FolderInUseError when another chain has it; UsageError when everybody may write to it.
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
    log: at('logs', 'trackchain.log'),
    compiled: at('compiled'),
    roll: at('processes.json'),
    ...lock(path),
  }
}

/** Also what an earlier release has made; what is not ours stays as it is. */
async function closeToOthers(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true })
  const own = entries.filter((entry) => entry.isFile() || entry.isDirectory())
  for (const { name } of own.filter((entry) => entry.name !== 'database'))
    await withhold(join(path, name), OTHERS)
  // As root PostgreSQL runs as another user, who has to get through to its own folder, and needs to see nothing.
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

/** The port of the API of the chain that lives in the folder; undefined where none does. */
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
 * The lock is SQLite's, which is the kernel's: it goes with the process however that ends, which a
 * file with a process id in it does not.
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
