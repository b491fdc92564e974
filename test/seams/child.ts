import { flushCompileCache } from 'node:module'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openCatalogue } from '#shared/catalogue/jobs/jobs.ts'
import { readConfig } from '#shared/frame/config.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { allConsumers } from '../support/one-process.ts'

// All consumers in one process, which kills itself at one seam of one job's way through the chain. A seam is a
// place before or after something that the outside can see: a write, a publish, a commit, a removal, an ack.
// The parent sends by IPC the job and the seam at which to die, e.g. `before publish:analyze#1`. The process
// reports the seams that it passes. It starts to consume only when it gets that message, so that the next
// process can be started in advance.

process.on('disconnect', () => process.exit(0))
// For the children that follow. This process is killed before it could write the cache by itself.
flushCompileCache()
const {
  track,
  job,
  seam: deadly,
} = await new Promise<Record<string, string>>((resolve) =>
  process.once('message', (order) => resolve(order as Record<string, string>)),
)
const counts = new Map<string, number>()

async function passing<T>(what: string, concerns: boolean, act: () => Promise<T>): Promise<T> {
  if (!concerns) return act()
  const nth = (counts.get(what) ?? 0) + 1
  counts.set(what, nth)
  const seam = `${what}#${nth}`
  crashAt(`before ${seam}`)
  const result = await act()
  crashAt(`after ${seam}`)
  return result
}

function crashAt(seam: string): void {
  process.send?.({ seam })
  if (seam === deadly) process.kill(process.pid, 'SIGKILL')
}

const config = readConfig()
const log = createLog('seams', 'error')
const concerns = (text: string) => text.includes(track ?? '') || text.includes(job ?? '')

const realBus = pubsubBus({ projectId: config.project, endpoint: config.pubsub })
const bus: typeof realBus = {
  ...realBus,
  publish(topic, message) {
    const text = message.data.toString() + JSON.stringify(message.attributes)
    return passing(`publish:${topic}`, concerns(text), () => realBus.publish(topic, message))
  },
}

const realCatalogue = openCatalogue({ dsn: config.database })
const catalogue: typeof realCatalogue = {
  ...realCatalogue,
  recordRuns: (runs) =>
    passing('commit:runs', concerns(JSON.stringify(runs)), () =>
      realCatalogue.recordRuns(runs),
    ),
  markAnnounced: (announced) =>
    passing('commit:announced', concerns(JSON.stringify(announced)), () =>
      realCatalogue.markAnnounced(announced),
    ),
  acceptJobs: (jobs) =>
    passing('commit:accepted', concerns(JSON.stringify(jobs)), () =>
      realCatalogue.acceptJobs(jobs),
    ),
  recordEvents: (events) =>
    passing('commit:events', concerns(JSON.stringify(events)), () =>
      realCatalogue.recordEvents(events),
    ),
}

function wrap(store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver {
  return {
    crossesWan: store.crossesWan,
    stat: (name, options) => store.stat(name, options),
    read: (name, options) => store.read(name, options),
    list: (prefix, options) => store.list(prefix, options),
    remove: (name) => store.remove(name),
    uri: (name) => store.uri(name),
    create: (name, body, options) =>
      passing(`write:${which}`, concerns(name), () => store.create(name, body, options)),
    removeAll: (prefix) =>
      passing(`remove:${which}`, concerns(prefix), () => store.removeAll(prefix)),
  }
}

await allConsumers({
  ...{ config, bus, catalogue, log, wrap },
  beforeAck: (step, data) => passing(`ack:${step}`, concerns(data.toString()), async () => {}),
})
process.send?.({ ready: true })
