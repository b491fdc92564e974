import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { orAbort } from '#shared/async/abort.ts'
import { type PubsubBusOptions, pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { EXIT_MS } from '#shared/frame/lifecycle.ts'
import {
  chainSettings,
  environment,
  localTopology,
  PROJECT,
  refuseOverridden,
  settingOf,
  type Wishes,
} from './chain-settings.ts'
import { checkDerivatives } from './check-derivatives.ts'
import { type Child, type ChildSpec, keepRunning } from './child.ts'
import { lendCores } from './core-broker.ts'
import { type DataFolder, takeDataFolder } from './data-folder.ts'
import { doorToken } from './door-token.ts'
import { eventually } from './eventually.ts'
import { linkKeys } from './link-keys.ts'
import { type LogFile, openLogFile, prettyLine } from './log-file.ts'
import { freePort, HOST } from './port.ts'
import { endLeftovers, openRoll, type Roll } from './process-registry.ts'
import { keepDatabase, type OwnDatabase } from './supervised-postgres.ts'

interface ChainOptions extends Wishes {
  readonly dataFolder: string
  /** Port of the HTTP API; 0: any free port. Default: 8080, or any free port when that is taken. */
  readonly port?: number | undefined
  /** Port of the Pub/Sub server; 0: any free port. Default: 8085, or any free port when that is taken. */
  readonly pubsubPort?: number | undefined
  /** `host:port` of another Pub/Sub server or of Google's emulator, instead of ours. */
  readonly pubsub?: string | undefined
  /** Connection string of another database, instead of ours. */
  readonly database?: string | undefined
  /** Called with a sentence for the person at the terminal, e.g. that a process died and starts again. */
  readonly onNotice: (sentence: string) => void
  /** Called with every log line, formatted for people. */
  readonly onLogLine?: (line: string) => void
  /** Called for each start of a process, restarts included. */
  readonly onStart?: (name: string) => void
  /**
   * Called for a process that died while one of its steps held a core. `since`: when it got the core, ms since the
   * epoch.
   */
  readonly onCutOff?: (cutOff: { name: string; pid: number; since: number }) => void
  /** Aborts the start. */
  readonly signal?: AbortSignal
}

/** A whole chain on this machine, up and running. */
export interface Chain {
  /** URL of the HTTP API, without a slash at its end. */
  readonly url: string
  /** Address of the Pub/Sub server, `host:port`. */
  readonly pubsub: string
  readonly project: string
  /** Options of a bus on its topics, with the rights of the chain's own services. */
  readonly link: PubsubBusOptions
  /** Connection string of the database. */
  readonly database: string
  readonly folder: DataFolder
  /** URI of the store of finished assets. */
  readonly assets: string
  /** Process ids by name. */
  readonly pids: () => Readonly<Record<string, number>>
  /** Names of the processes that are not ready, because they died or are being restarted. */
  readonly down: () => readonly string[]
  /** Stops the services first, then the servers that they use. Takes at most about half a minute. */
  close(): Promise<void>
  /** Kills everything at once, as a power cut would. */
  kill(): void
}

const DEFAULT_PORT = 8080
/** The default port of Google's emulator. */
const DEFAULT_PUBSUB_PORT = 8085
/** How long another server may take to answer, ms. */
const ANSWER_MS = 5_000
/** Grace of services, ms: they take up to EXIT_MS themselves. The servers that they use have nothing to finish. */
const SERVICE_GRACE_MS = EXIT_MS + 2_000
const SERVER_GRACE_MS = 5_000

/**
 * Starts everything, each part a process of its own that is restarted when it dies, and resolves when all are ready.
 * Processes that an earlier chain in the same folder left behind are ended first; its work is continued.
 * @throws FolderInUseError when another chain uses the folder; UsageError when a setting or a derivative asset of one's
 * own is faulty; an Error with the last words of the process that does
 * not start. Nothing is left running then.
 */
export async function startChain(options: ChainOptions): Promise<Chain> {
  const folder = await takeDataFolder(options.dataFolder)
  try {
    const { database = '', pubsub = '', port = 0 } = options
    const known = { database, pubsub, pubsub_token: '', port }
    refuseOverridden(chainSettings(options, folder, known))
    const derivatives = options.derivatives ?? settingOf('derivatives')
    if (derivatives) await checkDerivatives(derivatives)
  } catch (error) {
    folder.release()
    throw error
  }
  const log = openLogFile(folder.log, (service, line) =>
    options.onLogLine?.(prettyLine(service, line)),
  )
  const parts: Parts = { services: [] }
  const notice = (sentence: string) => {
    log.write('local', sentence)
    options.onNotice(sentence)
  }
  const ground = { folder, log, parts, notice }
  try {
    const killed = await endLeftovers(folder.roll)
    if (killed.length > 0)
      notice(`an earlier run was cut off; ended what was left of it: ${killed.join(', ')}`)
    options.signal?.throwIfAborted()
    return await start(options, { ...ground, roll: openRoll(folder.roll, notice) })
  } catch (error) {
    await closeAll(ground)
    throw error
  }
}

interface Parts {
  readonly services: Child[]
  pubsub?: Child
  database?: OwnDatabase
}

interface Ground {
  readonly folder: DataFolder
  readonly log: LogFile
  readonly roll: Roll
  readonly parts: Parts
  readonly notice: (sentence: string) => void
}

async function start(options: ChainOptions, ground: Ground): Promise<Chain> {
  const { folder, log, roll, parts, notice } = ground
  const { signal } = options
  const token = options.pubsub === undefined ? newToken(folder, notice) : ''
  const [database, pubsub, port] = await allStarted([
    options.database ?? ownDatabase(options, ground),
    options.pubsub === undefined ? ownPubsub(options, ground, token) : foreign(options.pubsub),
    freePort({ port: options.port, usually: DEFAULT_PORT }),
  ])
  const link = { projectId: PROJECT, endpoint: pubsub, token }
  const bus = pubsubBus(link)
  const opened = openDatabase({ dsn: database })
  try {
    await Promise.all([bus.ensure(localTopology()), migrate(opened, signal)])
  } finally {
    await Promise.all([bus.close(), opened.close()])
  }
  const config = chainSettings(options, folder, { database, pubsub, pubsub_token: token, port })
  const env = environment(config, folder)
  const door = doorToken()
  const ofIngest = { ...door.ingest, ...linkKeys(folder, notice) }
  const cores = new OwnCores()
  const sinks = {
    log,
    roll,
    onDeath: notice,
  }
  for (const name of CHAIN) {
    const spec = {
      name,
      script: servicePath(`${name}/main.ts`),
      env: { ...env, ...(name === 'ingest' ? ofIngest : door.others) },
      graceMs: SERVICE_GRACE_MS,
    }
    const onBirth = (child: ChildProcess) => {
      options.onStart?.(name)
      lendCores(cores, child, (since) =>
        options.onCutOff?.({ name, pid: child.pid as number, since }),
      )
    }
    parts.services.push(keepRunning(spec, { ...sinks, onBirth }))
  }
  await orAbort(Promise.all(parts.services.map(({ ready }) => ready)), signal)
  folder.announce(port, notice)

  let closing: Promise<void> | undefined
  return {
    url: `http://${HOST}:${port}`,
    pubsub,
    project: PROJECT,
    link,
    database,
    folder,
    assets: config.assets as string,
    pids: () => pidsOf(parts),
    down: () => downOf(parts),
    close: () => {
      closing ??= closeAll(ground)
      return closing
    },
    kill: () => killAll(parts),
  }
}

/** The database of the data folder. @returns its connection string. */
async function ownDatabase(options: ChainOptions, ground: Ground): Promise<string> {
  const { folder, log, parts, notice } = ground
  parts.database = await keepDatabase({
    folder: folder.database,
    notice,
    signal: options.signal,
    onStart: () => options.onStart?.('database'),
    log: (line) => log.write('database', line),
  })
  return parts.database.dsn
}

/** The Pub/Sub server of the data folder. @returns its address. */
async function ownPubsub(
  options: ChainOptions,
  ground: Ground,
  token: string,
): Promise<string> {
  const { folder, log, roll, parts, notice } = ground
  const port = await freePort({ port: options.pubsubPort, usually: DEFAULT_PUBSUB_PORT })
  const args = [
    '--host',
    HOST,
    '--port',
    `${port}`,
    '--file',
    folder.queue,
    '--project',
    PROJECT,
  ]
  const script = join(import.meta.dirname, 'pubsub', 'main.ts')
  const spec: ChildSpec = {
    ...{
      name: 'pubsub',
      script,
      args,
      env: environment({ pubsub_token: token }, folder),
      graceMs: SERVER_GRACE_MS,
    },
  }
  const child = keepRunning(spec, {
    log,
    roll,
    onDeath: notice,
    onBirth: () => options.onStart?.('pubsub'),
  })
  parts.pubsub = child
  await orAbort(child.ready, options.signal)
  return `${HOST}:${port}`
}

/**
 * Makes the secret of the chain's own services, and writes it to a file of the data folder that only our user can read.
 */
function newToken({ token: path }: DataFolder, notice: (sentence: string) => void): string {
  const token = randomBytes(32).toString('base64url')
  const write = () => {
    rmSync(path, { force: true })
    writeFileSync(path, token, { mode: 0o600 })
  }
  eventually(path, write, notice).save()
  return token
}

/** Checks the address of a Pub/Sub server that is not ours. @throws Error when there is no answer. */
async function foreign(address: string): Promise<string> {
  const parts = /^(?<host>.+):(?<port>\d+)$/.exec(address)?.groups
  if (!parts) throw new Error(`--pubsub takes host:port, got ${address}`)
  const socket = connect({ host: parts.host, port: Number(parts.port) })
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) })
  } catch (error) {
    throw new Error(`no Pub/Sub server answers at ${address}`, { cause: error })
  } finally {
    socket.destroy()
  }
  return address
}

function servicePath(script: string): string {
  return join(import.meta.dirname, '..', '..', 'services', script)
}

function pidsOf({ services, pubsub, database }: Parts): Record<string, number> {
  const all = [...services, ...(pubsub ? [pubsub] : [])].map(({ name, pid }) => [name, pid])
  return Object.fromEntries([...all, ['database', database?.pid]].filter(([, pid]) => pid))
}

function downOf({ services, pubsub, database }: Parts): string[] {
  const all = [...services, ...(pubsub ? [pubsub] : [])].filter(({ isReady }) => !isReady)
  const isDatabaseDown = database !== undefined && database.pid === undefined
  return [...all.map(({ name }) => name), ...(isDatabaseDown ? ['database'] : [])]
}

async function closeAll({ parts, log, folder }: Omit<Ground, 'roll'>): Promise<void> {
  await Promise.all(parts.services.map((service) => service.stop()))
  await parts.pubsub?.stop()
  await parts.database?.stop()
  await log.close()
  folder.release()
}

function killAll({ services, pubsub, database }: Parts): void {
  for (const child of services) child.kill()
  pubsub?.kill()
  const pid = database?.pid
  // The server's other processes notice that the first has exited, and exit.
  if (pid !== undefined) process.kill(pid, 'SIGQUIT')
}

/** Like Promise.all, but waits for all before it rejects, so that every part that did start can be closed. */
async function allStarted<A, B, C>(
  starting: readonly [A | Promise<A>, B | Promise<B>, C | Promise<C>],
): Promise<[A, B, C]> {
  await Promise.allSettled(starting)
  return Promise.all(starting)
}
