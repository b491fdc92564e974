import { configuredRegistry } from '#shared/assets/registry.ts'
import { BlockPool } from '#shared/audio/blocks.ts'
import { BLOCKS_AT_MOST } from '#shared/audio/cached-pcm.ts'
import { DEFAULT_LANE, LANES } from '#shared/contracts/lanes.ts'
import { STAGES, type Stage } from '#shared/contracts/stages.ts'
import { stageTopic } from '#shared/contracts/topology.ts'
import { CORES, OwnCores } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { service } from '#shared/frame/service.ts'
import { analyzing } from '../../analyze/step.ts'
import { encodeStep } from '../../encode/step.ts'
import { stageStep } from '../../stage/step.ts'
import { deliveryFrom, GIVEN_BACK } from '../cluster/pod-spec.ts'
import { inMemoryMarkers } from './in-memory-markers.ts'
import { inProcessBus } from './in-process-bus.ts'
import { pinnedReadCache } from './pinned-read-cache.ts'

// Takes one track from its message on the topic of `stage` to the message to `publish`. It runs the same steps
// as the chain; their messages to each other stay in this process. Only the objects that the steps write and
// the messages to other topics outlive the process.
await service(
  'pod',
  async (service) => {
    const { assets, breaker, bus, config, events, lifecycle, log, metrics, tracing } = service
    const { stopping, aborting } = lifecycle
    // The exit code until the run is done: the message has to be delivered again, however this process ends.
    lifecycle.exitWith(GIVEN_BACK)
    const { message, ...delivery } = deliveryFrom(process.argv[2])
    const registry = await configuredRegistry(config)
    const atOnce = service.concurrency(CORES)
    const cores = new OwnCores(atOnce)
    const blocks = new BlockPool(atOnce * BLOCKS_AT_MOST)
    const once = pinnedReadCache()
    const uploads = once(service.uploads)
    const locate = (uri: string) => {
      const { driver, name } = service.locate(uri)
      return { driver: once(driver), name }
    }
    const scratch = inMemoryMarkers(service.scratch)
    const topics = (stage: Stage) => LANES.map((lane) => stageTopic(stage, config.route, lane))
    const own = inProcessBus(bus, STAGES.flatMap(topics))
    const tools = { bus: own.bus, breaker, events, assets, scratch, log, metrics, tracing }
    const cancellations = service.cancellations()
    const deps = { ...tools, cancellations, cores, stopping, aborting }
    const units = { registry, locate, blocks }
    const analyze = analyzing(units, { threads: atOnce })
    lifecycle.onClose('workers', analyze.close)

    const handler: Readonly<Record<Stage, ReturnType<typeof delivering>>> = {
      stage: delivering(stageStep({ registry, locate, uploads, config }), deps),
      analyze: delivering(analyze.step, deps),
      encode: delivering(encodeStep(units), deps),
    }
    const handlers = new Map(
      STAGES.flatMap((stage) => topics(stage).map((topic) => [topic, handler[stage]])),
    )
    const data = Buffer.from(JSON.stringify(message))
    const first = { ...delivery, data, published: new Date() }
    const followed = own
      .follow(
        handlers,
        { topic: stageTopic('stage', config.route, DEFAULT_LANE), delivery: first },
        { atOnce, stopping },
      )
      .then((outcome) => {
        if (outcome === 'done') lifecycle.exitWith(0)
        lifecycle.leave(outcome)
      })
    // Closed first, so that running steps finish and publish what follows while the bus is still open.
    lifecycle.onClose('steps', () => followed)
  },
  { health: false },
)
