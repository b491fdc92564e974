import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { CHAIN, type ChainStep, HARD_LIMIT_MS } from '#shared/contracts/stages.ts'
import { openRows, startRows } from './published-rows.ts'
import { type Carried, CONCURRENCY, type Queue, type QueueKind } from './queue.ts'

const PROJECT = 'bench'
const SERVER = join(import.meta.dirname, '..', '..', 'local', 'pubsub', 'main.ts')

/** The chain's own queue without its services: its Pub/Sub server, its bus, and one row for each job. */
export const pubsub: QueueKind = {
  async start(folder) {
    const rows = await startRows(folder)
    const args = ['--port', '0', '--file', join(folder, 'queue.db')]
    const server = fork(SERVER, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const [{ port }] = (await once(server, 'message')) as [{ port: number }]
    const endpoint = `127.0.0.1:${port}`
    const bus = pubsubBus({ projectId: PROJECT, endpoint })
    const subscriptions = CHAIN.map((topic) => ({
      ...{ name: topic, topic, ackDeadlineSeconds: 30, retentionSeconds: 3600 },
      ...{ minBackoffSeconds: 1, maxBackoffSeconds: 1 },
    }))
    await bus.ensure({ topics: [...CHAIN], deadLetterTopic: 'ingest', subscriptions })
    await bus.close()
    return {
      address: JSON.stringify({ endpoint, dsn: rows.dsn }),
      pids: { server: server.pid as number, database: rows.pid },
      recorded: rows.recorded,
      settle: rows.settle,
      async stop() {
        const ended = once(server, 'exit')
        server.kill('SIGTERM')
        await ended
        await rows.stop()
      },
    }
  },

  async open(address): Promise<Queue> {
    const { endpoint, dsn } = JSON.parse(address)
    const bus = pubsubBus({ projectId: PROJECT, endpoint })
    const rows = openRows(dsn)
    const subscribers: { close(): Promise<void> }[] = []
    const handOn = async (step: ChainStep, job: Carried) => {
      await bus.publish(step, { data: Buffer.from(JSON.stringify(job)), attributes: {} })
    }
    return {
      async add(step, jobs) {
        await Promise.all(jobs.map((job) => handOn(step, job)))
      },
      handOn,
      async work(step, handle) {
        const onError = (error: Error) => console.error(`${step}: ${error.message}`)
        // As the chain's services pull ahead.
        const options = {
          concurrency: CONCURRENCY,
          prefetch: 50,
          longestMs: HARD_LIMIT_MS,
          onError,
        }
        const subscriber = bus.subscribe(step, options, async ({ data }) => {
          try {
            await handle(JSON.parse(data.toString()))
            return 'ack'
          } catch (error) {
            onError(error as Error)
            return 'nack'
          }
        })
        subscribers.push(subscriber)
      },
      record: rows.record,
      async close() {
        for (const subscriber of subscribers) await subscriber.close()
        await bus.close()
        await rows.close()
      },
    }
  },
}
