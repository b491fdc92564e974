import { loadRegistry } from '#shared/assets/registry.ts'
import { pubsubInspector } from '#shared/bus/pubsub.ts'
import { ONE_MACHINE, type Topology, topology } from '#shared/contracts/topology.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { StoreOptions } from '#shared/store/open.ts'
import { type Bucket, bucketCheck, bucketOf } from './bucket-checks.ts'
import { busChecks } from './bus-checks.ts'
import { type Check, type Finding, LIMIT_MS, runChecks } from './check.ts'
import { clockFinding } from './clock-check.ts'
import { coreCheck } from './core-check.ts'
import { databaseCheck } from './database-check.ts'
import { ffmpegCheck } from './ffmpeg-check.ts'
import { grantChecks } from './grant-checks.ts'
import { ingestCheck } from './ingest-check.ts'
import { linkCheck } from './link-check.ts'
import { regionCheck } from './region-check.ts'
import type { Seen } from './seen.ts'
import { type Access, type Needs, needsOf, type ServiceName } from './service-needs.ts'
import { speedCheck } from './speed-check.ts'
import { mastersCheck, storeCheck } from './store-checks.ts'

export interface PreflightOptions {
  /** The service whose identity this is; undefined: an identity of all services together. */
  readonly service?: ServiceName | undefined
  /** Time limit of each check, ms. Default: 10,000. */
  readonly limitMs?: number
  readonly env?: NodeJS.ProcessEnv
  /** Whether the speed of scratch and of a core is measured, which takes some core-seconds. Default: true. */
  readonly measuresSpeed?: boolean
}

/** Checks a deployment. Leaves behind at most one small object in assets and in uploads. */
export async function preflight(
  config: Config,
  {
    service,
    limitMs = LIMIT_MS,
    env = process.env,
    measuresSpeed = true,
  }: PreflightOptions = {},
): Promise<readonly Finding[]> {
  const needs = needsOf(service, config)
  const seen: Seen = { clocks: [], locations: new Map() }
  const options: StoreOptions = {
    // Requests give up within the time limit of a check.
    attempts: 2,
    firstDelayMs: 100,
    timeoutMs: limitMs,
    ...(config.storage === '' ? {} : { apiEndpoint: config.storage }),
  }
  const server =
    config.pubsub === '' ? {} : { endpoint: config.pubsub, token: config.pubsub_token }
  const inspector = pubsubInspector({ projectId: config.project, ...server }, limitMs)
  const wanted = topologyFor(config, service === undefined ? undefined : needs)
  const bus = { inspector, project: config.project, topology: wanted, needs }
  const stores = Object.entries(needs.stores) as [keyof Needs['stores'], Access][]
  const buckets = bucketsOf(needs, config)
  try {
    const first = await runChecks(
      [
        configurationCheck(config),
        ...busChecks(bus),
        ...grantChecks(bus),
        ...stores.map(([name, access]) => storeCheck(name, config[name], access, options)),
        ...needs.masters.map((uri) => mastersCheck(uri, options)),
        ...buckets.map((bucket) => bucketCheck(bucket, options, seen)),
        ...(needs.database ? [databaseCheck(config.database, limitMs, seen)] : []),
        ...(needs.ffmpeg ? [ffmpegCheck()] : []),
        ...(needs.ingest ? [ingestCheck(config)] : []),
        // A person cannot sign, so it is asked of ingest's identity alone.
        ...(service === 'ingest' ? [linkCheck(config.assets, options) ?? []].flat() : []),
      ],
      limitMs,
    )
    // These run afterwards: the region check uses what the others have seen, the speed check measures undisturbed.
    const canUse =
      measuresSpeed &&
      first.some(({ check, state }) => check.startsWith('scratch ') && state === 'ok')
    const then = await runChecks(
      [
        regionCheck(seen, env),
        ...(needs.stores.scratch === 'use' && canUse
          ? [speedCheck(config.scratch, options)]
          : []),
      ],
      limitMs,
    )
    const canEncode =
      measuresSpeed && first.some(({ check, state }) => check === 'ffmpeg' && state === 'ok')
    const coreSlowdown = config.routes[config.route]?.core_slowdown ?? 1
    const last = needs.ffmpeg && canEncode ? [coreCheck(config.route, coreSlowdown)] : []
    return [...first, ...then, ...(await runChecks(last, limitMs)), clockFinding(seen)]
  } finally {
    // Not awaited: a connection that hangs would not close.
    void inspector.close().catch(() => {})
  }
}

function configurationCheck(config: Config): Check {
  const { project, route, routes, derivatives } = config
  return {
    name: 'configuration',
    remedy: 'mend TRACKCHAIN_DERIVATIVES, or what is in that folder',
    async run() {
      const check = 'configuration'
      const known = Object.keys(routes).join(', ')
      if (routes[route] === undefined) {
        const found = `TRACKCHAIN_ROUTE is ${route}, of the routes ${known}`
        return [{ check, state: 'fault', found, remedy: 'name one of TRACKCHAIN_ROUTES' }]
      }
      const registry = await loadRegistry(derivatives)
      const assets = [...registry.keys()].join(', ')
      const found = `project ${project}, route ${route} of ${known}; assets ${assets}`
      return [{ check, state: 'ok', found }]
    },
  }
}

/**
 * The topics and subscriptions to check: those of the whole deployment, or of one service; dead letters in any case.
 */
function topologyFor({ routes, pubsub }: Config, needs: Needs | undefined): Topology {
  const all = topology(Object.keys(routes), pubsub === '' ? undefined : ONE_MACHINE)
  if (needs === undefined) return all
  const used = new Set([...needs.consumes, ...needs.publishes, all.deadLetterTopic])
  const subscriptions = new Set([...needs.consumes, all.deadLetterTopic])
  return {
    ...all,
    topics: all.topics.filter((name) => used.has(name)),
    subscriptions: all.subscriptions.filter(({ name }) => subscriptions.has(name)),
  }
}

function bucketsOf({ stores, masters }: Needs, config: Config): readonly Bucket[] {
  const own = (Object.keys(stores) as (keyof Needs['stores'])[]).map((which) =>
    bucketOf(which, config[which]),
  )
  const buckets = [...own, ...masters.map((uri) => bucketOf('masters', uri))]
  const distinct = new Map<string, Bucket>()
  for (const bucket of buckets) {
    if (bucket !== undefined) distinct.set(`${bucket.which} ${bucket.name}`, bucket)
  }
  return [...distinct.values()]
}
