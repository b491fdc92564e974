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

/** How long jobs that are done wait to be completed by one statement, ms. */
const COMPLETE_BATCH_MS = 20

/** Jobs in PostgreSQL, on the project's own server: a commit is on disk before it is answered. */
export const graphileWorker: QueueKind = {
  async start(folder) {
    const rows = await startRows(folder)
    const { makeWorkerUtils } = await peerModule<GraphileWorker>('graphile-worker')
    const utils = await makeWorkerUtils({ connectionString: rows.dsn })
    await utils.migrate()
    await utils.release()
    const { dsn, pid, recorded, stop } = rows
    return { address: dsn, pids: { server: pid }, recorded, stop }
  },

  async open(dsn): Promise<Queue> {
    const { makeWorkerUtils, run, Logger } = await peerModule<GraphileWorker>('graphile-worker')
    const logger = new Logger(() => () => {})
    const utils = await makeWorkerUtils({
      connectionString: dsn,
      maxPoolSize: CONNECTIONS,
      logger,
    })
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
          connectionString: dsn,
          maxPoolSize: CONNECTIONS,
          concurrentJobs: CONCURRENCY,
          // What its handbook advises for many short jobs: fetched and completed many at a time.
          localQueue: { size: CONCURRENCY + 1, refetchDelay: { durationMs: 20 } },
          completeJobBatchDelay: COMPLETE_BATCH_MS,
          failJobBatchDelay: COMPLETE_BATCH_MS,
          logger,
        }
        const taskList = { [step]: handle }
        runners.push(await run({ taskList, noHandleSignals: true, preset: { worker } }))
      },
      record: rows.record,
      async close() {
        for (const runner of runners) await runner.stop()
        await utils.release()
        await rows.close()
      },
    }
  },
}
