import type { Bus, Subscriber } from '../bus/bus.ts'
import { pubsubBus } from '../bus/pubsub.ts'
import { ConfigError } from '../contracts/errors/config.ts'
import { sentence } from '../contracts/errors/sentence.ts'
import { DEFAULT_LANE, LANES, type Lane } from '../contracts/lanes.ts'
import type { ObjectName } from '../contracts/names.ts'
import { masterPrefixes } from '../contracts/route.ts'
import { CHAIN, type ChainStep, LONGEST_STEP_MS, type Stage } from '../contracts/stages.ts'
import { ONE_MACHINE, stageTopic, topology } from '../contracts/topology.ts'
import type { StoreDriver } from '../store/driver/driver.ts'
import { locate, openStore, parseUri } from '../store/open.ts'
import { Cancellations, followCancellations } from './cancellations.ts'
import { readConfig, variableOf } from './config.ts'
import { CORE_WAIT_MS, OwnCores, SharedCores } from './cores.ts'
import { delivering } from './deliver.ts'
import { type EventSink, eventSink } from './events.ts'
import { startHeartbeat } from './heartbeat.ts'
import { type Lifecycle, runService, serveHealth } from './lifecycle.ts'
import type { Config } from './settings.ts'
import type { Step } from './step.ts'
import { createLog, type Log } from './telemetry/log.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { openTracing, type Tracing } from './telemetry/trace.ts'
import { Breaker } from './upstreams/breaker.ts'
import { watchedBus } from './upstreams/watched-bus.ts'
import { watched } from './upstreams/watched-store.ts'

/** The parts that every service shares. */
export interface Service {
  readonly config: Config
  readonly log: Log
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly lifecycle: Lifecycle
  /** Tracks the faults of upstreams, and pauses all subscribers of `bus` while one is down. */
  readonly breaker: Breaker
  readonly bus: Bus
  readonly events: EventSink
  readonly assets: StoreDriver
  readonly scratch: StoreDriver
  readonly uploads: StoreDriver
  /** Resolves the URI of a master or an upload to its store and its name there. */
  readonly locate: (uri: string) => { driver: StoreDriver; name: ObjectName }
  /** The cancellations that ingest tells, from the first call on. */
  readonly cancellations: () => Cancellations
  /** The number of steps that may run at once: the configured one, or `otherwise` if none is configured. */
  readonly concurrency: (otherwise: number) => number
  /** Consumes a subscription with a step until the process stops. `lane`: of its messages. Default: the default lane. */
  consume<In>(
    subscription: string,
    step: Step<In>,
    options: { concurrency: number; lane?: Lane },
  ): Subscriber
  /** Consumes the subscriptions of all lanes of a stage with a step. `concurrency`: in each lane. */
  consumeStage<In>(stage: Stage, step: Step<In>, options: { concurrency: number }): void
  /** Pauses a subscriber when the process is asked to stop, and closes it before the bus. */
  closeFirst(subscriber: Subscriber): Subscriber
}

/** The concurrency of steps that only wait for others: rate = concurrency ÷ latency. */
export const WAITING_STEPS = 200
/** The most messages that are pulled ahead of the work. */
const MAX_PREFETCH = 50

/** Runs the service `name`: reads its configuration, composes what all services share, and starts it. */
export function service(
  name: string,
  start: (service: Service) => Promise<void>,
  /** `health`: false for a service that serves /healthz, /readyz and /metrics itself. Default: true. */
  { health = true } = {},
): Promise<void> {
  const log = createLog(name)
  return runService(log, async (lifecycle) => {
    const config = readConfig()
    log.level = config.log_level
    const { scratch: where, storage } = config
    const watch = startHeartbeat({ service: name, scratch: where, storage })
    lifecycle.onClose('heartbeat', watch)
    const metrics = createMetrics(name)
    const tracing = await openTracing(name, config.traces)
    lifecycle.onClose('tracing', () => tracing.close())
    const { stopping, aborting } = lifecycle
    const breaker = new Breaker({ log, metrics, stopping })
    const options = {
      projectId: config.project,
      ...(config.pubsub === ''
        ? {}
        : {
            endpoint: config.pubsub,
            token: config.pubsub_token,
            topology: topology(Object.keys(config.routes), ONE_MACHINE),
          }),
    }
    const bus = watchedBus(pubsubBus(options), breaker)
    lifecycle.onClose('bus', () => bus.close())
    const events = eventSink(bus)
    const gcs = config.storage === '' ? {} : { apiEndpoint: config.storage }
    const open = (which: 'assets' | 'scratch' | 'uploads') =>
      watched(
        orConfigError(which, () => openStore(config[which], gcs)),
        breaker.upstream(which),
      )
    const [assets, scratch, uploads] = [open('assets'), open('scratch'), open('uploads')]
    const masters = breaker.upstream('masters')
    const prefixes = [...Object.values(config.routes).flatMap(masterPrefixes), config.uploads]
    orConfigError('routes', () => prefixes.map(parseUri))
    // One object for all masters: stores that are opened with the same settings object share a connection.
    const within = { ...gcs, prefixes }
    const closeFirst = (subscriber: Subscriber) => {
      // All subscribers stop pulling at once; closing each takes as long as its running handlers.
      stopping.addEventListener('abort', () => subscriber.pause())
      lifecycle.onClose('subscriber', () => subscriber.close())
      return subscriber
    }
    const tools = { bus, breaker, events, assets, scratch, log, metrics, tracing }
    const cores = config.shared_cores ? new SharedCores() : new OwnCores()
    const deps = { ...tools, cores, stopping, aborting }
    let known: Cancellations | undefined
    const cancellations = () => {
      if (known !== undefined) return known
      known = new Cancellations()
      const { ingest: url, ingest_token: token } = config
      if (url !== '') void followCancellations(known, { url, token, log, stopping })
      return known
    }
    let isStarted = false
    if (health) {
      const at = { host: config.health_host, port: config.health_port }
      const unready = () => breaker.reason ?? (isStarted ? undefined : 'starting')
      const port = await serveHealth(at, metrics, unready, lifecycle)
      log.info({ port }, 'health')
    }
    const consume: Service['consume'] = (
      subscription,
      step,
      { concurrency, lane = DEFAULT_LANE },
    ) => {
      const claim = { lane, rank: CHAIN.indexOf(step.name as ChainStep) }
      const patience = { topic: subscription, ms: CORE_WAIT_MS }
      return closeFirst(
        bus.subscribe(
          subscription,
          {
            concurrency,
            // The last lane takes no message that it can't begin with, so that a process that dies gives back as few as possible.
            prefetch: lane === LANES.at(-1) ? 0 : Math.min(concurrency, MAX_PREFETCH),
            // The library gives up on a handler after this: the wait, the longest step, and the writes after it.
            longestMs: CORE_WAIT_MS + LONGEST_STEP_MS + 2000,
            onError: (error) => log.warn({ err: error, subscription }, 'the link to Pub/Sub'),
          },
          delivering(step, {
            ...{ ...deps, claim, patience },
            ...(step.cancellable && { cancellations: cancellations() }),
          }),
        ),
      )
    }
    await start({
      config,
      log,
      metrics,
      tracing,
      lifecycle,
      breaker,
      bus,
      events,
      assets,
      scratch,
      uploads,
      cancellations,
      locate(uri) {
        const { driver, name } = locate(uri, within)
        return { driver: watched(driver, masters, { isOneOfMany: true }), name }
      },
      concurrency: (otherwise) => (config.concurrency === 0 ? otherwise : config.concurrency),
      consume,
      consumeStage(stage, step, { concurrency }) {
        for (const lane of LANES)
          consume(stageTopic(stage, config.route, lane), step, { concurrency, lane })
      },
      closeFirst,
    })
    isStarted = true
  })
}

/** Makes a fault of a setting's value, found while it is used, a fault of that setting. @throws ConfigError */
function orConfigError<T>(setting: keyof Config, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    const faults = [{ variable: variableOf(setting), wrong: `is wrong: ${sentence(cause)}` }]
    throw new ConfigError(faults, { cause })
  }
}
