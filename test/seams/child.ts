import { flushCompileCache } from 'node:module'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { readConfig } from '#shared/frame/config.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { allConsumers } from '../support/one-process.ts'

// All consumers in one process, which is killed when each of some jobs is at one seam of its way through the chain. A
// seam is a place before or after something that the outside can see: a write, a publish, a commit, a removal, an ack.
// The parent sends by IPC the jobs, each with the seam at which it has to be, e.g. `before publish:analyze#1`. A job
// that is there waits; when the last one gets there, the process kills itself. It reports the seams that the jobs
// pass. It starts to consume only when it gets that message, so that the next process can be started in advance.

process.on('disconnect', () => process.exit(0))
// For the children that follow. This process is killed before it could write the cache by itself.
flushCompileCache()
const jobs = await new Promise<readonly Job[]>((resolve) =>
  process.once('message', (orders) => resolve((orders as Job[]).map(begun))),
)

interface Job {
  readonly track: string
  readonly job: string
  /** Where it has to be when the process dies. */
  readonly seam: string
  /** How many seams of each kind it has passed. */
  readonly counts: Map<string, number>
  isThere: boolean
}

function begun(order: Job): Job {
  return { ...order, counts: new Map(), isThere: false }
}

async function passing<T>(what: string, text: string, act: () => Promise<T>): Promise<T> {
  const seams = reaching(what, text)
  await allAt('before', seams)
  const result = await act()
  await allAt('after', seams)
  return result
}

/** The seams of this kind that the jobs which a text names have reached. */
function reaching(what: string, text: string): readonly { job: Job; seam: string }[] {
  const ours = jobs.filter(({ track, job }) => text.includes(track) || text.includes(job))
  return ours.map((job) => {
    const count = (job.counts.get(what) ?? 0) + 1
    job.counts.set(what, count)
    return { job, seam: `${what}#${count}` }
  })
}

async function allAt(
  moment: 'before' | 'after',
  seams: readonly { job: Job; seam: string }[],
): Promise<void> {
  await Promise.all(seams.map(({ job, seam }) => at(job, `${moment} ${seam}`)))
}

/** A job goes no further where it has to be. The last one of all takes the process with it. */
async function at(job: Job, seam: string): Promise<void> {
  if (seam === job.seam) {
    job.isThere = true
    if (jobs.every(({ isThere }) => isThere)) process.kill(process.pid, 'SIGKILL')
  }
  process.send?.({ track: job.track, seam })
  if (seam === job.seam) await new Promise(() => {})
}

const config = readConfig()
const log = createLog('seams', 'error')

const realBus = pubsubBus({ projectId: config.project, endpoint: config.pubsub })
const bus: typeof realBus = {
  ...realBus,
  publish(topic, message) {
    const text = message.data.toString() + JSON.stringify(message.attributes)
    return passing(`publish:${topic}`, text, () => realBus.publish(topic, message))
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
    return passing(`commit:${commit}`, JSON.stringify(values), act)
  },
  // Its statements show only on the way which jobs it is about.
  async transaction(work, signal) {
    let seams: readonly { job: Job; seam: string }[] = []
    const result = await realDatabase.transaction(async (query) => {
      let said = ''
      const done = await work((statement, values) => {
        said += JSON.stringify(values)
        return query(statement, values)
      })
      seams = reaching('commit:runs', said)
      await allAt('before', seams)
      return done
    }, signal)
    await allAt('after', seams)
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
      passing(`write:${which}`, name, () => store.create(name, body, options)),
    removeAll: (prefix) => passing(`remove:${which}`, prefix, () => store.removeAll(prefix)),
  }
}

await allConsumers({
  ...{ config, bus, database, log, wrap },
  // A job that is where it has to be waits for the others, however slow the machine is.
  ...{ hardLimitMs: 600_000, silentMs: 600_000 },
  beforeAck: (step, data) => passing(`ack:${step}`, data.toString(), async () => {}),
})
process.send?.({ ready: true })
