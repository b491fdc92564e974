import type { ChainStep } from '#shared/contracts/stages.ts'
import { peerModule } from './packages.ts'
import { CONNECTIONS, openRows, startRows } from './published-rows.ts'
import {
  type Carried,
  CONCURRENCY,
  perStep,
  type Queue,
  type QueueKind,
  together,
} from './queue.ts'

/** What is used of the package graphile-worker, which is not among ours. */
interface GraphileWorker {
  makeWorkerUtils(options: object): Promise<{
    addJobs(specs: readonly { identifier: string; payload: Carried }[]): Promise<unknown>
    migrate(): Promise<void>
    release(): Promise<void>
  }>
  run(options: object): Promise<{ stop(): Promise<void> }>
  Logger: new (factory: () => () => void) => object
}

/** What is used of its driver. */
interface Driver {
  default: {
    Pool: new (
      options: object,
    ) => {
      on(event: 'error', tell: () => void): void
      on(event: 'connect', tell: (client: Emitter) => void): void
      end(): Promise<void>
    }
  }
}
interface Emitter {
  on(event: 'error', tell: () => void): void
}

/** How long jobs that are done wait to be completed by one statement, ms. */
const COMPLETE_BATCH_MS = 20

/** Jobs in PostgreSQL, on the project's own server: a commit is on disk before it is answered. */
export const graphileWorker: QueueKind = {
  async start(folder) {
    const rows = await startRows(folder)
    const { makeWorkerUtils } = await peerModule<GraphileWorker>('graphile-worker')
    const pgPool = await poolOf(rows.dsn)
    const utils = await makeWorkerUtils({ pgPool })
    await utils.migrate()
    await utils.release()
    await pgPool.end()
    const { dsn, pid, recorded, settle, stop } = rows
    return { address: dsn, pids: { server: pid }, recorded, settle, stop }
  },

  async open(dsn): Promise<Queue> {
    const { makeWorkerUtils, run, Logger } = await peerModule<GraphileWorker>('graphile-worker')
    const logger = new Logger(() => () => {})
    const pgPool = await poolOf(dsn)
    const utils = await makeWorkerUtils({ pgPool, logger })
    const rows = openRows(dsn)
    const runners: { stop(): Promise<void> }[] = []
    const add = async (step: ChainStep, jobs: readonly Carried[]) => {
      await utils.addJobs(jobs.map((payload) => ({ identifier: step, payload })))
    }
    const handingOn = perStep((step) => together((jobs) => add(step, jobs)))
    return {
      add,
      handOn: (step, job) => handingOn(step)(job),
      async work(step, handle) {
        const worker = {
          concurrentJobs: CONCURRENCY,
          // What its handbook advises for many short jobs: fetched and completed many at a time.
          localQueue: { size: CONCURRENCY + 1, refetchDelay: { durationMs: 20 } },
          completeJobBatchDelay: COMPLETE_BATCH_MS,
          failJobBatchDelay: COMPLETE_BATCH_MS,
          logger,
        }
        const taskList = { [step]: handle }
        runners.push(await run({ pgPool, taskList, noHandleSignals: true, preset: { worker } }))
      },
      record: rows.record,
      async close() {
        for (const runner of runners) await runner.stop()
        await utils.release()
        await pgPool.end()
        await rows.close()
      },
    }
  },
}

/** A pool of our own: one that graphile-worker opens is still closing when it has said that it has ended. */
async function poolOf(connectionString: string) {
  const { default: pg } = await peerModule<Driver>('pg')
  const pool = new pg.Pool({ connectionString, max: CONNECTIONS })
  // A connection that the server ends is opened again.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}
