import { BlockPool } from '#shared/audio/blocks.ts'
import { BLOCKS_AT_MOST } from '#shared/audio/cached.ts'
import { CORES } from '#shared/cores.ts'
import { service } from '#shared/service.ts'
import { stageTopic } from '#shared/topology.ts'
import { unitStep } from '#shared/units/unit-step.ts'
import { WorkerPool } from './pool.ts'
import { analyzeTools } from './tools.ts'

await service('analyze', async (service) => {
  const { config, registry, locate, cores, lifecycle, consume } = service
  const concurrency = service.concurrency(CORES)
  const pool = new WorkerPool({ threads: CORES })
  lifecycle.onClose('workers', () => pool.close())
  const step = unitStep('analyze', {
    registry,
    locate,
    cores,
    blocks: new BlockPool(CORES * BLOCKS_AT_MOST),
    tools: ({ pcm, signal }) => analyzeTools({ pcm, signal, pool }),
  })
  consume(stageTopic('analyze', config.route), step, { concurrency })
})
