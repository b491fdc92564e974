import { configuredRegistry } from '#shared/assets/registry.ts'
import { stageTopic } from '#shared/contracts/topology.ts'
import { CORE_WAIT_MS, CORES, stepsAtOnce } from '#shared/frame/cores.ts'
import { sweepHourly } from '#shared/frame/hourly-sweep.ts'
import { service } from '#shared/frame/service.ts'
import { stageStep } from './step.ts'

await service('stage', async (service) => {
  const { config, locate, uploads, cores, concurrency, consume } = service
  const registry = await configuredRegistry(config)
  const step = stageStep({ registry, locate, uploads, config, cores })
  // Most steps make small reads only. Steps that convert a master wait for a core, and their lease is extended
  // meanwhile.
  const atOnce = concurrency(stepsAtOnce('stage'))
  const waitMs = Math.ceil(atOnce / CORES) * CORE_WAIT_MS
  consume(stageTopic('stage', config.route), step, { concurrency: atOnce, waitMs })
  sweepHourly(service)
})
