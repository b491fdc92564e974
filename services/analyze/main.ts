import { configuredRegistry } from '#shared/assets/registry.ts'
import { BlockPool } from '#shared/audio/blocks.ts'
import { BLOCKS_AT_MOST } from '#shared/audio/cached-pcm.ts'
import { CORES, stepsAtOnce } from '#shared/frame/cores.ts'
import { service } from '#shared/frame/service.ts'
import { analyzing } from './step.ts'

await service('analyze', async (service) => {
  const { config, locate, lifecycle, consumeStage } = service
  const registry = await configuredRegistry(config)
  const concurrency = service.concurrency(stepsAtOnce('analyze'))
  const blocks = new BlockPool(CORES * BLOCKS_AT_MOST)
  const { step, close } = analyzing({ registry, locate, blocks }, { threads: CORES })
  lifecycle.onClose('workers', close)
  consumeStage('analyze', step, { concurrency })
})
