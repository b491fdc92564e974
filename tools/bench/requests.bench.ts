import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { EncodeJob } from '#shared/contracts/messages/encode-job.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { configEnv } from '#shared/frame/config.ts'
import { send } from '#shared/frame/step.ts'
import { startGcsServer } from '../fakes/gcs-server.ts'
import { testPostgres } from '../local/postgres/temporary.ts'
import { startPubsubServer } from '../local/pubsub/server.ts'
import { listen, TOPICS } from './listen.ts'
import { writeClub } from './material.ts'

// node tools/bench/requests.bench.ts [SECONDS…]: counts the requests of a track to Cloud Storage, by class of operation,
// and its messages in Pub/Sub. The services are processes of their own; masters, assets and scratch are on the
// stand-in, which counts.

const SERVICES = CHAIN.map((name) => `${name}/main`)
const LENGTHS = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [60, 210, 433]
const FIVE = ['bpm', 'key', 'waveform', 'loudness', 'aac-128']
const SETS = [['bpm'], ['bpm', 'key'], ['aac-128'], ['waveform'], FIVE]
const SETTLE_MS = 1500

const folder = await mkdtemp(join(tmpdir(), 'trackchain-requests-'))
const postgres = await testPostgres()
const gcs = await startGcsServer('masters', 'assets', 'scratch', 'uploads')
const pubsub = await startPubsubServer({ port: 0, file: ':memory:' })
const env = configEnv({
  project: 'bench',
  pubsub: `127.0.0.1:${pubsub.port}`,
  storage: gcs.endpoint,
  assets: 'gs://assets',
  scratch: 'gs://scratch',
  uploads: 'gs://uploads',
  port: 0,
  database: await postgres.database(),
  routes: {
    cloud: { templates: ['gs://masters/{asset_guid}.wav'], prefixes: [], core_slowdown: 1 },
  },
})
const bus = pubsubBus({ projectId: 'bench', endpoint: `127.0.0.1:${pubsub.port}` })
await bus.ensure(topology(['cloud'], ONE_MACHINE))
const messages = { count: 0, bytes: 0 }
const published = new Set<string>()
const ears = await Promise.all(
  TOPICS.map((topic) =>
    listen(bus, topic, ({ data, attributes }) => {
      messages.count++
      messages.bytes += data.length + Buffer.byteLength(JSON.stringify(attributes))
      if (topic === 'published') published.add(Published.parse(data).asset_guid)
    }),
  ),
)
const services = SERVICES.map(start)
try {
  console.log('| seconds | assets | class A | class B | free | messages | bytes of messages |')
  console.log('| --- | --- | --- | --- | --- | --- | --- |')
  for (const seconds of LENGTHS) {
    const path = join(folder, 'master.wav')
    await writeClub(path, seconds, { isMix: false })
    const master = await readFile(path)
    for (const assets of SETS) await measure(seconds, assets, master)
  }
} finally {
  for (const service of services) service.kill('SIGKILL')
  await Promise.all(ears.map((ear) => ear.close()))
  await bus.close()
  await pubsub.close()
  await gcs.close()
  await postgres.stop()
  await rm(folder, { recursive: true })
}

async function measure(
  seconds: number,
  derivative_assets: string[],
  master: Buffer,
): Promise<void> {
  const asset_guid = `${seconds}-${derivative_assets.length}-${derivative_assets[0]}`
  gcs.put('masters', `${asset_guid}.wav`, master)
  gcs.requests.length = 0
  Object.assign(messages, { count: 0, bytes: 0 })
  const job = { request_id: randomUUID(), asset_guid, derivative_assets }
  const { topic, data, attributes } = send('ingest', EncodeJob, job)
  await bus.publish(topic, { data, attributes })
  while (!published.has(asset_guid)) await sleep(50)
  // Scratch is removed, and events arrive, after the announcement.
  await sleep(SETTLE_MS)
  gcs.buckets.get('masters')?.clear()
  const lines = gcs.requests.map(({ line }) => line)
  const count = (of: RegExp) => lines.filter((line) => of.test(line)).length
  // https://cloud.google.com/storage/pricing#operations-by-class: inserts and lists; gets; deletions are free. An
  // upload in pieces is one insert.
  const a = count(/^POST/) + count(/^GET [^?]*\/o\?/)
  const b = count(/^GET [^?]*\/o\/./)
  const free = count(/^(DELETE|PUT)/)
  const row = [seconds, derivative_assets.join(' '), a, b, free, messages.count, messages.bytes]
  console.log(`| ${row.join(' | ')} |`)
}

function start(main: string): ChildProcess {
  return fork(new URL(`../../services/${main}.ts`, import.meta.url), {
    env: { PATH: process.env.PATH, METADATA_SERVER_DETECTION: 'none', ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [],
  })
}
