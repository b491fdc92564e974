import { configuredRegistry } from '#shared/assets/registry.ts'
import { BlockPool } from '#shared/audio/blocks.ts'
import { BLOCKS_AT_MOST } from '#shared/audio/cached-pcm.ts'
import { CORES, stepsAtOnce } from '#shared/frame/cores.ts'
import { service } from '#shared/frame/service.ts'
import { encodeStep } from './step.ts'

await service('encode', async ({ config, locate, concurrency, consumeStage }) => {
  const registry = await configuredRegistry(config)
  const blocks = new BlockPool(CORES * BLOCKS_AT_MOST)
  const step = encodeStep({ registry, locate, blocks })
  consumeStage('encode', step, { concurrency: concurrency(stepsAtOnce('encode')) })
})
