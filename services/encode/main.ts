import { BlockPool } from '#shared/audio/blocks.ts'
import { BLOCKS_AT_MOST } from '#shared/audio/cached.ts'
import { CORES } from '#shared/cores.ts'
import { service } from '#shared/service.ts'
import { stageTopic } from '#shared/topology.ts'
import { unitStep } from '#shared/units/unit-step.ts'
import { encodeTools } from './tools.ts'

await service('encode', async ({ config, registry, locate, cores, concurrency, consume }) => {
  const step = unitStep('encode', {
    registry,
    locate,
    cores,
    blocks: new BlockPool(CORES * BLOCKS_AT_MOST),
    tools: ({ pcm, signal }) => encodeTools(pcm, signal),
  })
  consume(stageTopic('encode', config.route), step, { concurrency: concurrency(CORES) })
})
