import { flushCompileCache } from 'node:module'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
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
  const seam = nth(what)
  crashAt(`before ${seam}`)
  const result = await act()
  crashAt(`after ${seam}`)
  return result
}

/** The next seam of this kind. */
function nth(what: string): string {
  const count = (counts.get(what) ?? 0) + 1
  counts.set(what, count)
  return `${what}#${count}`
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

/** The statements that commit something by themselves, each with the name of its seam. */
const COMMITS: Readonly<Record<string, string>> = {
  'jobs-insert': 'accepted',
  'jobs-announced': 'announced',
  'events-record': 'events',
}
const realDatabase = openDatabase({ dsn: config.database })
const database: Database = {
  ...realDatabase,
  query(statement, values, signal) {
    const commit = COMMITS[statement.name ?? '']
    const act = () => realDatabase.query(statement, values, signal) as Promise<never[]>
    if (commit === undefined) return act()
    return passing(`commit:${commit}`, concerns(JSON.stringify(values)), act)
  },
  // Its statements show only on the way which jobs it is about.
  async transaction(work, signal) {
    let isOurs = false
    const result = await realDatabase.transaction(async (query) => {
      const done = await work((statement, values) => {
        isOurs ||= concerns(JSON.stringify(values))
        return query(statement, values)
      })
      if (isOurs) crashAt(`before ${nth('commit:runs')}`)
      return done
    }, signal)
    if (isOurs) crashAt(`after commit:runs#${counts.get('commit:runs')}`)
    return result
  },
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
  ...{ config, bus, database, log, wrap },
  beforeAck: (step, data) => passing(`ack:${step}`, concerns(data.toString()), async () => {}),
})
process.send?.({ ready: true })
