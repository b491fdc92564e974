import { AUDIO_EXTENSIONS } from '#shared/contracts/file-names.ts'
import {
  DEFAULT_ROUTE,
  ONE_MACHINE,
  type Topology,
  topology,
} from '#shared/contracts/topology.ts'
import { configEnv, OF_COMMANDS, variableOf } from '#shared/frame/config.ts'
import type { Config } from '#shared/frame/settings.ts'
import { kindOf } from '#shared/store/kinds.ts'
import { UsageError } from '../terminal/usage.ts'
import { type DataFolder, folderUri } from './data-folder.ts'
import { HOST } from './port.ts'

/** The project of the topics. It exists on this machine only. */
export const PROJECT = 'trackchain-local'
/** The options of a chain on one machine. */
export interface Wishes {
  /** Templates of masters in addition to the data folder's own. */
  readonly templates?: readonly string[]
  /** Prefixes that `master_uri` may lie below, in addition to the data folder's own. */
  readonly prefixes?: readonly string[]
  /** How many times slower a core is than the reference, for the only route. */
  readonly coreSlowdown?: number
  /** A folder with derivative assets of one's own. */
  readonly derivatives?: string | undefined
  /** Stores elsewhere than in the data folder, as URIs, and the endpoint of Cloud Storage that buckets are at. */
  readonly stores?: Partial<Pick<Config, 'assets' | 'scratch' | 'uploads' | 'storage'>>
  /** Settings that the chain does not decide. */
  readonly settings?: Pick<Partial<Config>, 'target_ms' | 'watchdog_after_seconds'>
}

/** The topics and subscriptions of a chain on one machine. */
export function localTopology(): Topology {
  return topology([DEFAULT_ROUTE], ONE_MACHINE)
}

/** The settings that all services of the chain share. */
export function chainSettings(
  wishes: Wishes,
  folder: DataFolder,
  at: { database: string; pubsub: string; pubsub_token: string; port: number },
): Partial<Config> {
  const masters = folderUri(folder.masters)
  const own = AUDIO_EXTENSIONS.map((extension) => `${masters}{asset_guid}.${extension}`)
  return {
    project: PROJECT,
    ...at,
    host: HOST,
    // Asked for what was cancelled.
    ingest: `http://${HOST}:${at.port}`,
    // No load balancer has to notice that a service is going.
    drain_seconds: 0,
    // On loopback all requests count as one client's: enough for all programs of one person, too little for a runaway loop.
    rate_limit_per_minute: 60_000,
    assets: folderUri(folder.assets),
    scratch: folderUri(folder.scratch),
    uploads: folderUri(folder.uploads),
    ...wishes.stores,
    shared_cores: true,
    route: DEFAULT_ROUTE,
    routes: {
      [DEFAULT_ROUTE]: {
        templates: [...own, ...(wishes.templates ?? [])],
        prefixes: [masters, ...(wishes.prefixes ?? [])],
        core_slowdown: wishes.coreSlowdown ?? 1,
      },
    },
    ...wishes.settings,
    ...(wishes.derivatives === undefined ? {} : { derivatives: wishes.derivatives }),
  }
}

/** Settings that `npm start` takes as they stand in the environment, too, and the flag for each. */
const FLAGS = {
  assets: '--assets',
  scratch: '--scratch',
  uploads: '--uploads',
  storage: '--gcs-endpoint',
  derivatives: '--derivatives',
  database: '--database',
  pubsub: '--pubsub',
  port: '--port',
} as const satisfies Partial<Record<keyof Config, string>>

/** The value of a setting in the environment. */
export function settingOf(
  name: keyof typeof FLAGS,
  env: NodeJS.ProcessEnv = process.env,
): string | undefined {
  return env[variableOf(name)]
}

/**
 * Refuses variables that the chain sets to another value, instead of overriding them silently.
 * @throws UsageError that names all of them.
 */
export function refuseOverridden(
  decided: Partial<Config>,
  env: NodeJS.ProcessEnv = process.env,
): void {
  const said = configEnv(decided)
  const overridden = Object.keys(decided)
    .filter((name) => {
      const variable = variableOf(name)
      if (env[`${variable}_FILE`] !== undefined) return true
      return env[variable] !== undefined && env[variable] !== said[variable]
    })
    .map((name) => {
      const flag = (FLAGS as Partial<Record<string, string>>)[name]
      return flag === undefined
        ? variableOf(name)
        : `${variableOf(name)} (${flag} of npm start)`
    })
  if (overridden.length === 0) return
  throw new UsageError(
    `This chain decides what the environment sets otherwise: ${overridden.join(', ')}. Unset that, or give it as a flag where there is one.`,
  )
}

/** The environment of a service: the chain's own settings, and the other TRACKCHAIN_ variables as they are. */
export function environment(
  config: Partial<Config>,
  { compiled }: Pick<DataFolder, 'compiled'>,
): Record<string, string | undefined> {
  // Services need no token of an operator.
  const isInherited = ([name]: [string, unknown]) =>
    name !== 'PUBSUB_EMULATOR_HOST' && !OF_COMMANDS.includes(name)
  const inherited = Object.fromEntries(Object.entries(process.env).filter(isInherited))
  return {
    // Each file operation takes a thread of this pool, and most of them only wait for the disk.
    UV_THREADPOOL_SIZE: '16',
    // Without a bucket of Google's own, no metadata server has to be asked for credentials.
    ...(needsCredentials(config) ? {} : { METADATA_SERVER_DETECTION: 'none' }),
    // Compiled code is cached, so that a service that was killed is back in two thirds of the time.
    NODE_COMPILE_CACHE: compiled,
    ...inherited,
    ...configEnv(config),
  }
}

function needsCredentials({ assets, scratch, uploads, routes = {}, storage }: Partial<Config>) {
  const masters = Object.values(routes).flatMap(({ templates, prefixes }) => [
    ...templates,
    ...prefixes,
  ])
  const isFar = (uri = '') => kindOf(uri)?.crossesWan === true
  return !storage && [assets, scratch, uploads, ...masters].some(isFar)
}
