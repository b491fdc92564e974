import { configuredRegistry } from '#shared/assets/registry.ts'
import { stepsAtOnce } from '#shared/frame/cores.ts'
import { sweepHourly } from '#shared/frame/hourly-sweep.ts'
import { service } from '#shared/frame/service.ts'
import { stageStep } from './step.ts'

await service('stage', async (service) => {
  const { config, locate, uploads, concurrency, consumeStage } = service
  const registry = await configuredRegistry(config)
  const step = stageStep({ registry, locate, uploads, config })
  consumeStage('stage', step, { concurrency: concurrency(stepsAtOnce('stage')) })
  sweepHourly(service)
})
