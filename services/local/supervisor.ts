import { once } from 'node:events'
import { connect } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openCatalogue } from '#shared/catalogue/catalogue.ts'
import { type Config, configEnv } from '#shared/config.ts'
import { sentence } from '#shared/errors.ts'
import { EXIT_MS } from '#shared/lifecycle.ts'
import { DEFAULT_ROUTE, type Topology, topology } from '#shared/topology.ts'
import {
  type Child,
  type ChildSpec,
  keepRunning,
  MAX_BACKOFF_MS,
  MIN_BACKOFF_MS,
  SETTLED_MS,
} from './child.ts'
import { type DataFolder, folderUri, takeDataFolder } from './data-folder.ts'
import { endLeftovers, openRoll, type Roll } from './leftovers.ts'
import { type LogFile, openLogFile, prettyLine } from './log-file.ts'
import { freePort, HOST } from './port.ts'
import { type Postgres, startPostgres } from './postgres.ts'

export interface ChainOptions {
  readonly dataFolder: string
  /** Of the HTTP API; 0: any free one. 8080 unless told, or any when that is taken. */
  readonly port?: number | undefined
  /** Of the Pub/Sub server; 0: any free one. 8085 unless told, or any when that is taken. */
  readonly pubsubPort?: number | undefined
  /** `host:port` of another Pub/Sub server or of Google's emulator, instead of ours. */
  readonly pubsub?: string | undefined
  /** Connection string of another database, instead of ours. */
  readonly database?: string | undefined
  /** Templates of masters beside the data folder's own. */
  readonly templates?: readonly string[]
  /** Prefixes that `master_uri` may lie below, beside the data folder's own. */
  readonly prefixes?: readonly string[]
  /** A folder with derivative assets of one's own. */
  readonly derivatives?: string | undefined
  /** Told in a sentence what a person at the terminal should know: a process died and starts again. */
  readonly onNotice: (sentence: string) => void
  /** Sees every log line, made for people. */
  readonly onLogLine?: (line: string) => void
  /** Gives up starting. */
  readonly signal?: AbortSignal
}

/** A whole chain on this machine, up and running. */
export interface Chain {
  /** Of the HTTP API, without a slash at its end. */
  readonly url: string
  /** `host:port`. */
  readonly pubsub: string
  readonly project: string
  readonly folder: DataFolder
  /** Process ids by name. */
  readonly pids: () => Readonly<Record<string, number>>
  /** Services first, then what they need. Takes at most about half a minute. */
  close(): Promise<void>
  /** Ends everything at once, as a power cut would. */
  kill(): void
}

const USUAL_PORT = 8080
/** As Google's emulator has it. */
const USUAL_PUBSUB_PORT = 8085
const PROJECT = 'trackchain-local'
const SERVICES = {
  ingest: 'ingest/main.ts',
  stage: 'ingest/stage.main.ts',
  analyze: 'analyze/main.ts',
  encode: 'encode/main.ts',
  publish: 'publish/main.ts',
} as const
/** Masters that are dropped into the data folder may have any of these extensions. */
export const MASTER_EXTENSIONS = ['wav', 'flac', 'aif', 'aiff'] as const
/** On one machine nobody else suffers from an early retry. */
const BACKOFF = { minSeconds: 1, maxSeconds: 60 }
/** More than that Google's emulator does not take; Pub/Sub itself takes 31 days. */
const MOST_RETENTION_SECONDS = 7 * 86_400
/** How long another server may take to answer, ms. */
const ANSWER_MS = 5_000
/** Services have EXIT_MS for themselves; what they need has nothing to finish. */
const SERVICE_GRACE_MS = EXIT_MS + 2_000
const SERVER_GRACE_MS = 5_000

/**
 * Starts everything, each part a process of its own that is started again when it dies, and resolves
 * when all are ready. What an earlier chain in the same folder has left behind is ended first, and its
 * work goes on.
 * @throws FolderInUseError when another chain lives in the folder; an Error with the last words of
 * whatever does not start. Nothing is left running then.
 */
export async function startChain(options: ChainOptions): Promise<Chain> {
  const folder = await takeDataFolder(options.dataFolder)
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
    return await start(options, { ...ground, roll: openRoll(folder.roll) })
  } catch (error) {
    await closeAll(ground)
    throw error
  }
}

interface Parts {
  readonly services: Child[]
  pubsub?: Child
  database?: { pid(): number | undefined; stop(): Promise<void> }
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
  const sinks = { log, roll, onDeath: notice }
  const [database, pubsub, port] = await allStarted([
    options.database ?? ownDatabase(options, ground),
    options.pubsub === undefined ? ownPubsub(options, ground) : foreign(options.pubsub),
    freePort({ port: options.port, usually: USUAL_PORT }),
  ])
  const bus = pubsubBus({ projectId: PROJECT, endpoint: pubsub })
  const catalogue = openCatalogue({ dsn: database })
  try {
    await Promise.all([bus.ensure(localTopology()), catalogue.migrate(signal)])
  } finally {
    await Promise.all([bus.close(), catalogue.close()])
  }
  const config = settings(options, folder, { database, pubsub, port })
  for (const [name, script] of Object.entries(SERVICES)) {
    const env = environment({ ...config, ...share(name) })
    const graceMs = SERVICE_GRACE_MS
    parts.services.push(keepRunning({ name, script: servicePath(script), env, graceMs }, sinks))
  }
  await Promise.race([Promise.all(parts.services.map(({ ready }) => ready)), aborted(signal)])

  let closing: Promise<void> | undefined
  return {
    url: `http://${HOST}:${port}`,
    ...{ pubsub, project: PROJECT, folder },
    pids: () => pidsOf(parts),
    close: () => {
      closing ??= closeAll(ground)
      return closing
    },
    kill: () => killAll(parts),
  }
}

/** The database of the data folder. Started again when it dies. @returns its connection string. */
async function ownDatabase(
  { signal }: ChainOptions,
  { folder, log, parts, notice }: Ground,
): Promise<string> {
  const stopping = new AbortController()
  const begin = () =>
    startPostgres({
      dataDir: folder.database,
      note: notice,
      ...(signal ? { signal } : {}),
    })
  let server: Postgres | undefined = await begin()
  const { dsn, version } = server
  log.write('database', `PostgreSQL ${version}`)

  const watching = (async () => {
    let backoff = MIN_BACKOFF_MS
    for (let born = Date.now(); ; born = Date.now()) {
      const ended = await server?.exited
      server = undefined
      if (stopping.signal.aborted) return
      if (Date.now() - born >= SETTLED_MS) backoff = MIN_BACKOFF_MS
      const why = ended
        ? `died (${ended.signal ?? `exit code ${ended.code}`})`
        : 'does not start'
      notice(`database ${why}; starting it again in ${backoff / 1000} s`)
      await sleep(backoff, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return
      backoff = Math.min(backoff * 2, MAX_BACKOFF_MS)
      server = await begin().catch((error) => {
        log.write('database', sentence(error))
        return undefined
      })
    }
  })()
  parts.database = {
    pid: () => server?.pid,
    async stop() {
      stopping.abort()
      await server?.stop()
      await watching
      // It may have been on its way up just then.
      await server?.stop()
    },
  }
  return dsn
}

/** The Pub/Sub server of the data folder. @returns its address. */
async function ownPubsub(options: ChainOptions, ground: Ground): Promise<string> {
  const { folder, log, roll, parts, notice } = ground
  const port = await freePort({ port: options.pubsubPort, usually: USUAL_PUBSUB_PORT })
  const args = ['--host', HOST, '--port', `${port}`, '--file', folder.queue]
  const script = servicePath('local/pubsub.main.ts')
  const spec: ChildSpec = {
    ...{ name: 'pubsub', script, args, env: environment({}), graceMs: SERVER_GRACE_MS },
  }
  const child = keepRunning(spec, { log, roll, onDeath: notice })
  parts.pubsub = child
  await Promise.race([child.ready, aborted(options.signal)])
  return `${HOST}:${port}`
}

/** The address of somebody else's Pub/Sub server. @throws Error when nobody answers there. */
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

function localTopology(): Topology {
  const { subscriptions, ...rest } = topology([DEFAULT_ROUTE], BACKOFF)
  const kept = (seconds: number) => Math.min(seconds, MOST_RETENTION_SECONDS)
  return {
    ...rest,
    subscriptions: subscriptions.map((spec) => ({
      ...spec,
      retentionSeconds: kept(spec.retentionSeconds),
    })),
  }
}

function settings(
  options: ChainOptions,
  folder: DataFolder,
  at: { database: string; pubsub: string; port: number },
): Partial<Config> {
  const masters = folderUri(folder.masters)
  const own = MASTER_EXTENSIONS.map((extension) => `${masters}{asset_guid}.${extension}`)
  return {
    project: PROJECT,
    ...at,
    host: HOST,
    assets: folderUri(folder.assets),
    scratch: folderUri(folder.scratch),
    uploads: folderUri(folder.uploads),
    route: DEFAULT_ROUTE,
    routes: {
      [DEFAULT_ROUTE]: {
        templates: [...own, ...(options.templates ?? [])],
        prefixes: [masters, ...(options.prefixes ?? [])],
        factor: 1,
      },
    },
    ...(options.derivatives === undefined ? {} : { derivatives: options.derivatives }),
  }
}

/** analyze and encode share this machine's cores, so that a step finds about as much of one as it was planned for. */
function share(name: string): Partial<Config> {
  if (name !== 'analyze' && name !== 'encode') return {}
  return { concurrency: Math.max(1, Math.ceil(availableParallelism() / 2)) }
}

/** What the chain decides is set; other TRACKCHAIN_ settings of the environment are let through. */
function environment(config: Partial<Config>): Record<string, string | undefined> {
  const { PUBSUB_EMULATOR_HOST: _, ...inherited } = process.env
  return { ...inherited, METADATA_SERVER_DETECTION: 'none', ...configEnv(config) }
}

function servicePath(script: string): string {
  return join(import.meta.dirname, '..', script)
}

function pidsOf({ services, pubsub, database }: Parts): Record<string, number> {
  const all = [...services, ...(pubsub ? [pubsub] : [])].map(({ name, pid }) => [name, pid])
  return Object.fromEntries([...all, ['database', database?.pid()]].filter(([, pid]) => pid))
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
  const pid = database?.pid()
  // Its own processes notice that it has gone, and go.
  if (pid !== undefined) process.kill(pid, 'SIGQUIT')
}

/** Like Promise.all, but waits for all before it rejects, so that whatever did start can be closed. */
async function allStarted<A, B, C>(
  starting: readonly [A | Promise<A>, B | Promise<B>, C | Promise<C>],
): Promise<[A, B, C]> {
  await Promise.allSettled(starting)
  return Promise.all(starting)
}

function aborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
