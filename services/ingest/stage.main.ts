import { CORE_WAIT_MS, CORES } from '#shared/cores.ts'
import { service } from '#shared/service.ts'
import { sweepHourly } from '#shared/sweeping.ts'
import { stageTopic } from '#shared/topology.ts'
import { stageStep } from './stage.ts'

await service('stage', async (service) => {
  const { config, registry, locate, uploads, cores, concurrency, consume } = service
  const step = stageStep({ registry, locate, uploads, config, cores })
  // Mostly small reads; masters that have to be converted wait for a core, and their lease is extended meanwhile.
  const atOnce = concurrency(CORES * 25)
  const waitMs = Math.ceil(atOnce / CORES) * CORE_WAIT_MS
  consume(stageTopic('stage', config.route), step, { concurrency: atOnce, waitMs })
  sweepHourly(service)
})
