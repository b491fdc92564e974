import { readFileSync, writeFileSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

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
  announce(port: number): void
  /** Lets another chain have the folder. */
  release(): void
}

/** Another chain lives in the folder. */
export class FolderInUseError extends Error {
  override readonly name = 'FolderInUseError'
}

/**
 * Makes the folder and takes it for this process alone, until `release` or the process's end.
 * @throws FolderInUseError when another chain has it.
 */
export async function takeDataFolder(folder: string): Promise<DataFolder> {
  const path = resolve(folder)
  const at = (...names: string[]) => join(path, ...names)
  for (const name of ['masters', 'assets', 'scratch', 'uploads', 'logs']) {
    await mkdir(at(name), { recursive: true })
  }
  // As root PostgreSQL runs as another user, who has to get through to its own folder.
  if (process.getuid?.() === 0) await chmod(path, 0o711)
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
    announce: (port) => own(path, { port }),
    release: lock(path),
  }
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
function lock(folder: string): () => void {
  const database = new DatabaseSync(join(folder, 'lock.sqlite'))
  try {
    database.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    database.close()
    if (!/locked/.test(String(error))) throw error
    throw new FolderInUseError(`${folder} is in use by ${ownerOf(ownerFile(folder))}`)
  }
  own(folder)
  return () => database.close()
}

function own(folder: string, more: { readonly port?: number } = {}): void {
  const owner = { pid: process.pid, since: new Date().toISOString(), ...more }
  writeFileSync(ownerFile(folder), JSON.stringify(owner))
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
