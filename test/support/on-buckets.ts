import type { Test } from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { startGcsServer } from '../../tools/fakes/gcs-server.ts'
import { surroundings } from './chain.ts'
import { allConsumers } from './one-process.ts'

/** A chain in this process that keeps everything in buckets; it ends with the test. */
export async function chainOnBuckets(t: Pick<Test, 'teardown'>, name: string) {
  const server = await startGcsServer('masters', 'assets', 'scratch', 'uploads')
  const around = await surroundings({
    storage: server.endpoint,
    assets: 'gs://assets',
    scratch: 'gs://scratch',
    uploads: 'gs://uploads',
    routes: {
      cloud: { templates: ['gs://masters/{asset_guid}.wav'], prefixes: [], core_slowdown: 1 },
    },
  })
  const { bus, database, config } = around
  const consumers = await allConsumers({
    config,
    bus,
    database,
    log: createLog(name, 'fatal'),
  })
  t.teardown(async () => {
    await consumers.close()
    await around.close()
    await server.close()
  })
  return { server, around }
}
