import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { json } from '#shared/contracts/message.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import type { Pids } from '../../local/process-usage.ts'
import { startChain } from '../../local/supervisor.ts'
import { KINDS, type KindName } from './kinds.ts'
import { analyze } from './published-rows.ts'
import { type Carried, CONCURRENCY } from './queue.ts'
import type { StepOrder } from './step-process.ts'

/** A chain that is up, whatever queue it runs on. */
export interface RunningChain {
  pids(): Pids
  /** Adds jobs for the first step; they are durable when this resolves. */
  submit(jobs: readonly Carried[]): Promise<void>
  /**
   * Makes statistics of the database's tables, as it does by itself within a minute: until then statements are planned
   * as for empty tables.
   */
  settle(): Promise<void>
  /** How many jobs have come out of the last step. */
  out(): number
  /** How many jobs have been recorded; undefined when the chain records none. */
  recorded(): Promise<number | undefined>
  close(): Promise<void>
}

/** The project's own chain, all of it, as `npm start` runs it. `master`: the path of the master of all jobs. */
export async function ownChain(folder: string, master: string): Promise<RunningChain> {
  // Steps that compute nothing only wait for servers, so they need a large window.
  process.env.TRACKCHAIN_CONCURRENCY ??= `${CONCURRENCY}`
  const chain = await startChain({
    dataFolder: folder,
    port: 0,
    pubsubPort: 0,
    prefixes: [pathToFileURL(dirname(master)).href],
    derivatives: new URL('../derivatives', import.meta.url).pathname,
    onNotice: (sentence) => console.error(sentence),
  })
  const bus = pubsubBus(chain.link)
  const out = new Set<string>()
  const onError = (error: Error) => console.error(error.message)
  const options = { concurrency: 1000, longestMs: 10_000, onError }
  const ear = bus.subscribe('published', options, async ({ data }) => {
    out.add((json(data, 'published') as Carried).request_id)
    return 'ack'
  })
  return {
    pids: () => chain.pids(),
    async submit(jobs) {
      const publish = (job: Carried) =>
        bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
      await Promise.all(jobs.map(publish))
    },
    settle: () => analyze(chain.database),
    out: () => out.size,
    // `published` is sent after the rows are committed.
    recorded: async () => out.size,
    async close() {
      await ear.close()
      await bus.close()
      await chain.close()
    },
  }
}

/**
 * Five plain handlers on a queue, each in a process of its own.
 * @param isWorking whether the handlers do their step's part of a job; else they only pass it on
 * @throws when a process does not start
 */
export async function plainChain(
  kind: KindName,
  folder: string,
  { isWorking }: { isWorking: boolean },
): Promise<RunningChain> {
  await mkdir(folder, { recursive: true })
  const assets = isWorking ? pathToFileURL(join(folder, 'objects')).href : undefined
  const server = await KINDS[kind].start(folder)
  const { address } = server
  const queue = await KINDS[kind].open(address)
  let out = 0
  const processes: ChildProcess[] = []
  const close = async () => {
    await Promise.all(processes.map(end))
    await queue.close()
    await server.stop()
  }
  try {
    for (const step of CHAIN) {
      const order: StepOrder = { kind, step, address, assets }
      const child = fork(new URL('step-process.ts', import.meta.url), [JSON.stringify(order)], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      processes.push(child)
      child.on('message', (message: { out?: number }) => {
        out = message.out ?? out
      })
    }
    await Promise.all(processes.map(isReady))
  } catch (error) {
    await close()
    throw error
  }
  const steps = CHAIN.map((step, index) => [step, processes[index]?.pid as number])
  return {
    pids: () => ({ ...Object.fromEntries(steps), ...server.pids }),
    submit: (jobs) => queue.add('ingest', jobs),
    settle: () => server.settle(),
    out: () => out,
    recorded: async () => (isWorking ? server.recorded() : undefined),
    close,
  }
}

async function isReady(child: ChildProcess): Promise<void> {
  const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')])
  if (first?.ready !== true) throw new Error(`a step ended with ${first}`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
