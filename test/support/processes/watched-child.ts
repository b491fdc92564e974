import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { readConfig } from '#shared/frame/config.ts'
import { startHeartbeat } from '#shared/frame/heartbeat.ts'
import { runService } from '#shared/frame/lifecycle.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { allConsumers } from '../one-process.ts'

// All consumers in one process that lives as a service does, and is ended when its event loop stands still for
// STANDSTILL_MS. Its steps are stopped after HARD_LIMIT_MS, if that is given.

const log = createLog('watched', process.env.SHOW ?? 'error')
await runService(log, async (lifecycle) => {
  const config = readConfig()
  const watch = startHeartbeat({
    ...{ service: 'watched', scratch: config.scratch },
    limitMs: Number(process.env.STANDSTILL_MS),
  })
  lifecycle.onClose('watch', watch)
  const bus = pubsubBus({
    projectId: config.project,
    endpoint: config.pubsub,
    leaseSeconds: 10,
  })
  lifecycle.onClose('bus', () => bus.close())
  const database = openDatabase({ dsn: config.database })
  lifecycle.onClose('database', () => database.close())
  const { HARD_LIMIT_MS: limit } = process.env
  const limited = limit === undefined ? {} : { hardLimitMs: Number(limit) }
  const consumers = await allConsumers({ config, bus, database, log, ...limited })
  lifecycle.onClose('consumers', () => consumers.close())
})
