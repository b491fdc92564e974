import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { emulatorWire, localWire, type RunningWire } from './wires.ts'

// node tools/bench/wire.bench.ts [messages]
//
// Measures the bus over each available Pub/Sub server, with messages of 1 KB; publisher, server and subscriber
// are processes of their own. Latency is measured by a clock that the processes share.

const PROJECT = 'bench'
const messages = Number(process.argv[2] ?? 100_000)
const CLIENT = new URL('wire-client.ts', import.meta.url).pathname

const directory = await mkdtemp(join(tmpdir(), 'wire-bench-'))
for (const start of [() => localWire(join(directory, 'pubsub.sqlite')), emulatorWire]) {
  const wire = await start()
  if (!wire) continue
  try {
    await latency(wire)
    // The emulator is an order of magnitude slower: a tenth of the messages is enough.
    await throughput(wire, wire.name === 'local' ? messages : messages / 10)
  } finally {
    await wire.stop()
  }
}
await rm(directory, { recursive: true })

async function latency(wire: RunningWire): Promise<void> {
  const result = await run(wire, 'latency', { messages: 2000, perSecond: 200, concurrency: 10 })
  print(wire, `publish → receive, paced at 200/s: p50 ${result.p50} ms, p99 ${result.p99} ms`)
}

async function throughput(wire: RunningWire, messages: number): Promise<void> {
  const result = await run(wire, 'flood', { messages, perSecond: 0, concurrency: 500 })
  const rate = Math.round(messages / result.seconds).toLocaleString('en')
  print(wire, `${rate} messages/s end to end, each published, received and acknowledged`)
}

interface Result {
  readonly p50: string
  readonly p99: string
  readonly seconds: number
}

async function run(wire: RunningWire, topic: string, load: object): Promise<Result> {
  const bus = pubsubBus({ projectId: PROJECT, endpoint: wire.endpoint })
  await bus.ensure({
    topics: [topic],
    deadLetterTopic: topic,
    subscriptions: [
      {
        name: topic,
        topic,
        ackDeadlineSeconds: 60,
        minBackoffSeconds: 0,
        maxBackoffSeconds: 1,
        retentionSeconds: 86_400,
      },
    ],
  })
  await bus.close()
  const settings = JSON.stringify({
    endpoint: wire.endpoint,
    projectId: PROJECT,
    topic,
    ...load,
  })
  const subscriber = fork(CLIENT, ['subscribe', settings])
  await once(subscriber, 'message')
  const publisher = fork(CLIENT, ['publish', settings])
  const [result] = await once(subscriber, 'message')
  await Promise.all([once(subscriber, 'exit'), publisher.exitCode ?? once(publisher, 'exit')])
  return result as Result
}

function print(wire: RunningWire, line: string): void {
  console.log(`${wire.name}: ${line}`)
}
