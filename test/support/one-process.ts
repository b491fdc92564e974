import { loadRegistry } from '#shared/assets/registry.ts'
import type { Bus } from '#shared/bus/bus.ts'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import type { Acceptance } from '#shared/catalogue/jobs/job-row.ts'
import { watchedDatabase } from '#shared/catalogue/watched-database.ts'
import { LANES, type Lane } from '#shared/contracts/lanes.ts'
import { masterPrefixes } from '#shared/contracts/route.ts'
import { LONGEST_STEP_MS, type Stage } from '#shared/contracts/stages.ts'
import { publishTopic, stageTopic } from '#shared/contracts/topology.ts'
import type { Cancellations } from '#shared/frame/cancellations.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { type DeliverDeps, delivering } from '#shared/frame/deliver.ts'
import { eventSink } from '#shared/frame/events.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Step } from '#shared/frame/step.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { createMetrics, type Metrics } from '#shared/frame/telemetry/metrics.ts'
import type { Tracing } from '#shared/frame/telemetry/trace.ts'
import { Breaker } from '#shared/frame/upstreams/breaker.ts'
import { watchedBus } from '#shared/frame/upstreams/watched-bus.ts'
import { watched } from '#shared/frame/upstreams/watched-store.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { locate, openStore, type StoreOptions } from '#shared/store/open.ts'
import { Isolation } from '#shared/underway/isolation.ts'
import { analyzing } from '../../services/analyze/step.ts'
import { encodeStep } from '../../services/encode/step.ts'
import { requestConflicts } from '../../services/ingest/jobs/conflicts.ts'
import { ingestStep } from '../../services/ingest/jobs/consume.ts'
import { tenantQuotas } from '../../services/ingest/jobs/quotas.ts'
import { eventRecorder, eventsHandler } from '../../services/publish/event-recorder.ts'
import { runRecorder } from '../../services/publish/run-recorder.ts'
import { publishStep } from '../../services/publish/step.ts'
import { stageStep } from '../../services/stage/step.ts'

interface OneProcess {
  readonly config: Config
  readonly bus: Bus | PubsubBus
  readonly database: Database
  readonly log: Log
  /** Between a handler's `ack` and the ack itself. */
  readonly beforeAck?: (step: string, data: Buffer) => Promise<void>
  /** The hard limit of every step, ms. Default: the production limit. */
  readonly hardLimitMs?: number
  /** The stores, e.g. wrapped. */
  readonly wrap?: (store: StoreDriver, which: 'assets' | 'scratch') => StoreDriver
  readonly wrapMasters?: (store: StoreDriver) => StoreDriver
  /** How Cloud Storage is reached. */
  readonly gcs?: StoreOptions
  /** Default: four. */
  readonly cores?: OwnCores
  /** Other than all: those subscriptions alone. */
  readonly only?: readonly string[]
  /** The cancellations that are known. Default: none. */
  readonly cancellations?: Cancellations
  /** Where spans go. Default: no tracing. */
  readonly tracing?: Tracing
  readonly metrics?: Metrics
  /** A store that does not answer for this long has failed, ms. Default: the production limit. */
  readonly silentMs?: number
}

interface Consumers {
  /** Which upstream is down, and why. */
  readonly breaker: Breaker
  close(): Promise<void>
}

/** All consumers of the chain in this process, composed of the very parts that the services are composed of. */
export async function allConsumers(options: OneProcess): Promise<Consumers> {
  const { config, log, beforeAck, silentMs } = options
  const { gcs = config.storage === '' ? {} : { apiEndpoint: config.storage } } = options
  const { wrap = (store) => store, wrapMasters = (store) => store } = options
  const never = new AbortController().signal
  const { metrics = createMetrics('all'), tracing } = options
  const breaker = new Breaker({ log, metrics, stopping: never })
  const bus = watchedBus(options.bus, breaker)
  const database = watchedDatabase(options.database, breaker.upstream('database'))
  const open = (which: 'assets' | 'scratch') =>
    watched(wrap(openStore(config[which], gcs), which), breaker.upstream(which), { silentMs })
  const masters = breaker.upstream('masters')
  const registry = await loadRegistry(config.derivatives)
  const { cores = new OwnCores(4) } = options
  const deps: DeliverDeps = {
    bus,
    cores,
    events: eventSink(bus),
    ...{ assets: open('assets'), scratch: open('scratch') },
    ...{ log, metrics, breaker, stopping: never, aborting: never },
    ...(tracing && { tracing }),
    ...(options.cancellations && { cancellations: options.cancellations }),
    ...(options.hardLimitMs === undefined ? {} : { hardLimitMs: options.hardLimitMs }),
  }
  const prefixes = [...Object.values(config.routes).flatMap(masterPrefixes), config.uploads]
  const within = { ...gcs, prefixes }
  const at = (uri: string) => {
    const { driver, name } = locate(uri, within)
    return {
      driver: watched(wrapMasters(driver), masters, { silentMs, isOneOfMany: true }),
      name,
    }
  }
  const uploads = openStore(config.uploads, gcs)
  const units = () => ({
    registry,
    locate: at,
    isolation: new Isolation({ quietMs: 2000 }),
  })
  const analyze = analyzing(units(), { threads: 1 })
  const recordJob = async (accepted: Acceptance) =>
    acceptJobs(options.database, [accepted]).catch(() => {})

  const publish = publishStep({ ...runRecorder(database), assets: deps.assets })
  const subscribers = [
    consume(
      'ingest',
      ingestStep(
        { registry, ...config },
        recordJob,
        requestConflicts(options.database, log),
        tenantQuotas(options.database, config.tenants, log),
      ),
    ),
    ...perLane('stage', stageStep({ registry, locate: at, uploads, config })),
    ...perLane('analyze', analyze.step),
    ...perLane('encode', encodeStep(units())),
    ...LANES.map((lane) => consume(publishTopic(lane), publish)),
    subscribe('events', eventsHandler({ bus, log, record: eventRecorder(database) })),
  ]
  return {
    breaker,
    async close() {
      await Promise.all(subscribers.map((subscriber) => subscriber?.close()))
      await analyze.close()
    },
  }

  function consume<In>(name: string, step: Step<In>, lane?: Lane) {
    return subscribe(name, delivering(step, lane ? { ...deps, claim: { lane } } : deps))
  }

  function perLane<In>(stage: Stage, step: Step<In>) {
    return LANES.map((lane) => consume(stageTopic(stage, config.route, lane), step, lane))
  }

  function subscribe(name: string, handler: ReturnType<typeof delivering>) {
    if (options.only?.includes(name) === false) return undefined
    const onError = (error: Error) => log.warn({ error: error.message, name }, 'link')
    return bus.subscribe(
      name,
      { concurrency: 4, longestMs: LONGEST_STEP_MS, onError },
      async (delivery) => {
        const settlement = await handler(delivery)
        if (settlement === 'ack') await beforeAck?.(name, delivery.data)
        return settlement
      },
    )
  }
}
