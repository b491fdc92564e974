import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainStep } from '#shared/contracts/stages.ts'
import { peerModule } from './packages.ts'
import {
  type Carried,
  CONCURRENCY,
  perStep,
  type Queue,
  type QueueKind,
  together,
} from './queue.ts'

/** What is used of the package bullmq, which is not among ours. */
interface BullMq {
  Queue: new (
    name: string,
    options: object,
  ) => {
    addBulk(jobs: readonly { name: string; data: Carried }[]): Promise<unknown>
    close(): Promise<void>
  }
  Worker: new (
    name: string,
    handle: (job: { data: Carried }) => Promise<void>,
    options: object,
  ) => {
    waitUntilReady(): Promise<unknown>
    on(event: 'failed' | 'error', tell: (...args: unknown[]) => void): void
    close(): Promise<void>
  }
}

/** What is used of the package ioredis. */
interface IoRedis {
  Redis: new (options: object) => Connection
}
interface Connection {
  on(event: 'error', tell: (error: Error) => void): void
  ping(): Promise<string>
  config(get: 'GET', name: string): Promise<string[]>
  pipeline(): {
    hset(key: string, fields: object): void
    exec(): Promise<readonly (readonly [Error | null, unknown])[]>
  }
  eval(script: string, keys: number): Promise<number>
  disconnect(): void
}

/**
 * Debian's redis-tools has the server by the name of its checking tool, which is the same program; the package
 * redis-server would start one.
 */
const PROGRAM = 'redis-check-rdb'
/** How long the server may take to answer, ms. */
const READY_MS = 10_000

/** Jobs in Redis, whose journal is on disk before a command is answered (appendfsync always). */
export const bullmq: QueueKind = {
  async start(folder) {
    const dir = join(folder, 'redis')
    await mkdir(dir, { recursive: true })
    const path = join(dir, 's')
    const server = spawn(
      PROGRAM,
      [
        ...['--port', '0', '--unixsocket', path, '--dir', dir, '--save', ''],
        ...['--appendonly', 'yes', '--appendfsync', 'always', '--loglevel', 'warning'],
        ...['--maxmemory-policy', 'noeviction'],
      ],
      { argv0: 'redis-server', stdio: ['ignore', 'ignore', 'inherit'] },
    )
    await once(server, 'spawn').catch((error: Error) => {
      throw new Error(`no Redis here (Debian: apt install redis-tools): ${error.message}`)
    })
    const connection = await connect(path)
    const stop = async () => {
      connection.disconnect()
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
    }
    try {
      const began = performance.now()
      while ((await connection.ping().catch(() => '')) !== 'PONG') {
        if (performance.now() - began > READY_MS) throw new Error('Redis does not answer')
        await sleep(20)
      }
      const settings = [
        ...(await connection.config('GET', 'appendonly')),
        ...(await connection.config('GET', 'appendfsync')),
      ].join(' ')
      if (settings !== 'appendonly yes appendfsync always') throw new Error(settings)
    } catch (error) {
      await stop()
      throw error
    }
    return {
      address: path,
      pids: { server: server.pid as number },
      recorded: () => connection.eval(`return #redis.call('KEYS', 'published:*')`, 0),
      settle: async () => {},
      stop,
    }
  },

  async open(path): Promise<Queue> {
    const { Queue: BullQueue, Worker } = await peerModule<BullMq>('bullmq')
    const connection = await connect(path)
    const workers: InstanceType<BullMq['Worker']>[] = []
    const queues: InstanceType<BullMq['Queue']>[] = []
    const queueOf = perStep((step) => {
      const defaultJobOptions = { removeOnComplete: true, attempts: 5 }
      const queue = new BullQueue(step, { connection, defaultJobOptions })
      queues.push(queue)
      return queue
    })
    const add = async (step: ChainStep, jobs: readonly Carried[]) => {
      await queueOf(step).addBulk(jobs.map((data) => ({ name: step, data })))
    }
    const handingOn = perStep((step) => together((jobs) => add(step, jobs)))
    const record = together(async (jobs) => {
      const pipeline = connection.pipeline()
      for (const { request_id, asset_guid, revision, derivative_assets } of jobs) {
        const fields = { asset_guid, revision, at: Date.now() }
        pipeline.hset(`published:${request_id}`, {
          ...fields,
          assets: derivative_assets.join(),
        })
      }
      for (const [error] of await pipeline.exec()) if (error) throw error
    })
    return {
      add,
      handOn: (step, job) => handingOn(step)(job),
      async work(step, handle) {
        const options = { connection: { path, maxRetriesPerRequest: null } }
        const worker = new Worker(step, ({ data }) => handle(data), {
          ...options,
          concurrency: CONCURRENCY,
        })
        worker.on('error', (error) => console.error(`${step}: ${error}`))
        worker.on('failed', (_, error) => console.error(`${step}: ${error}`))
        workers.push(worker)
        await worker.waitUntilReady()
      },
      record,
      async close() {
        for (const worker of workers) await worker.close()
        for (const queue of queues) await queue.close()
        connection.disconnect()
      },
    }
  },
}

async function connect(path: string): Promise<Connection> {
  const { Redis } = await peerModule<IoRedis>('ioredis')
  const connection = new Redis({ path, maxRetriesPerRequest: null })
  // It connects again by itself until the server listens.
  connection.on('error', () => {})
  return connection
}
