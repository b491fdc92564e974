import { loadRegistry } from '#shared/assets/registry.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { readConfig } from '#shared/frame/config.ts'
import { releaseOnce } from '../../../services/publish/campaigns/release.ts'

// Releases items of campaigns, and kills itself before or after the publish that its argument names, e.g.
// `after publish 20`: when that many messages have been confirmed.

const [moment, , number] = (process.argv[2] ?? '').split(' ')
const config = readConfig()
const registry = await loadRegistry(config.derivatives)
const database = openDatabase({ dsn: config.database })
const real = pubsubBus({ projectId: config.project, endpoint: config.pubsub })
const die = () => process.kill(process.pid, 'SIGKILL')
let confirmed = 0
const bus: typeof real = {
  ...real,
  async publish(topic, message) {
    if (moment === 'before') die()
    const id = await real.publish(topic, message)
    if (++confirmed === Number(number)) die()
    return id
  },
}
const { routes, tenants, uploads } = config
const settings = { registry, routes, tenants, uploads }
const stopping = new AbortController().signal
await releaseOnce({ database, bus, settings, stopping, weightOf: () => 1 })
