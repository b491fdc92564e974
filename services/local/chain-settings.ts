import { type Config, configEnv } from '#shared/config.ts'
import { DEFAULT_ROUTE, ONE_MACHINE, type Topology, topology } from '#shared/topology.ts'
import { type DataFolder, folderUri } from './data-folder.ts'
import { HOST } from './port.ts'

/** The project of the topics, which no cloud knows. */
export const PROJECT = 'trackchain-local'
/** Masters that are dropped into the data folder may have any of these extensions. */
export const MASTER_EXTENSIONS = [
  ...['wav', 'flac', 'aif', 'aiff', 'aifc'],
  ...['mp3', 'm4a', 'aac', 'ogg'],
] as const
/** What may be set of a chain on one machine. */
export interface Wishes {
  /** Templates of masters beside the data folder's own. */
  readonly templates?: readonly string[]
  /** Prefixes that `master_uri` may lie below, beside the data folder's own. */
  readonly prefixes?: readonly string[]
  /** How much slower a core is than the reference: of the only route. */
  readonly factor?: number
  /** A folder with derivative assets of one's own. */
  readonly derivatives?: string | undefined
  /** Settings that the chain does not decide. */
  readonly settings?: Pick<Partial<Config>, 'target_ms' | 'watchdog_after'>
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
  const own = MASTER_EXTENSIONS.map((extension) => `${masters}{asset_guid}.${extension}`)
  return {
    project: PROJECT,
    ...at,
    host: HOST,
    // Nobody balances a load here.
    drain: 0,
    // On loopback everybody is one client: enough for all of his own, and not for a loop that has gone astray.
    rate_limit: 60_000,
    assets: folderUri(folder.assets),
    scratch: folderUri(folder.scratch),
    uploads: folderUri(folder.uploads),
    lent_cores: true,
    route: DEFAULT_ROUTE,
    routes: {
      [DEFAULT_ROUTE]: {
        templates: [...own, ...(wishes.templates ?? [])],
        prefixes: [masters, ...(wishes.prefixes ?? [])],
        factor: wishes.factor ?? 1,
      },
    },
    ...wishes.settings,
    ...(wishes.derivatives === undefined ? {} : { derivatives: wishes.derivatives }),
  }
}

/** Less what is the operator's own, for the commands that ask the API. */
export function settingsOf(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { TRACKCHAIN_TOKEN: _, TRACKCHAIN_TARGET: __, ...settings } = env
  return settings
}

/** What the chain decides is set; other TRACKCHAIN_ settings of the environment are let through. */
export function environment(
  config: Partial<Config>,
  { compiled }: Pick<DataFolder, 'compiled'>,
): Record<string, string | undefined> {
  const { PUBSUB_EMULATOR_HOST: _, ...inherited } = settingsOf(process.env)
  return {
    // Each file operation takes a thread of this pool, and most of them only wait for the disk.
    UV_THREADPOOL_SIZE: '16',
    METADATA_SERVER_DETECTION: 'none',
    // A service that was killed is back in two thirds of the time.
    NODE_COMPILE_CACHE: compiled,
    ...inherited,
    ...configEnv(config),
  }
}
