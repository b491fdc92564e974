import { CORES, service } from '#shared/service.ts'
import { openStore } from '#shared/store/open.ts'
import { stageTopic } from '#shared/topology.ts'
import { stageStep } from './stage.ts'

await service('stage', async ({ config, registry, locate, concurrency, consume }) => {
  const uploads = openStore(config.uploads, { apiEndpoint: config.storage })
  const step = stageStep({ registry, locate, uploads, config })
  // Mostly small reads; the few masters that have to be converted share the cores with them.
  consume(stageTopic('stage', config.route), step, { concurrency: concurrency(CORES * 25) })
  return {}
})
