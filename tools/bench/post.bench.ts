import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { configEnv } from '#shared/frame/config.ts'
import type { Config } from '#shared/frame/settings.ts'
import { testPostgres } from '../local/postgres/temporary.ts'
import { fillCatalogue } from './fill-catalogue.ts'

// node tools/bench/post.bench.ts [jobs] [connections] [tracks]
//
// Measures POST /v1/jobs: one job at a time on each of several connections, each answered once Pub/Sub has the
// job and its event; then the same number of jobs as lines. Pub/Sub, PostgreSQL and ingest are processes of their own.
// With `tracks` the catalogue is filled with as many first, and the same is measured beside eight slow reads at once.

const jobs = Number(process.argv[2] ?? 20_000)
const connections = Number(process.argv[3] ?? 50)
const tracks = Number(process.argv[4] ?? 0)

/** Lists that look through much of a catalogue. Each of the slow readers asks for one of them, again and again. */
const SLOW_READS = [
  'q=zzyzx&key=8A',
  'q=loren%20mitus',
  'bpm_from=120&bpm_to=128&key=8A&confidence_from=0.5',
  'lacks=waveform&q=l',
  'stale=bpm&bpm_from=120&bpm_to=128',
  'state=failed&key=8A',
  'seconds_from=180&seconds_to=240&q=ra',
  'warning=any&q=sol',
]
/** Runs without the reads and with them, in turn. */
const ROUNDS = 3

const folder = await mkdtemp(join(tmpdir(), 'post-bench-'))
const postgres = await testPostgres()
const children: ChildProcess[] = []
try {
  const dsn = await postgres.database()
  if (tracks > 0) await fill(dsn)
  const queue = start('../local/pubsub/main.ts', {}, [
    ...['--port', '0', '--file', join(folder, 'queue.db')],
  ])
  const pubsub = `127.0.0.1:${await messageWith(queue, 'port')}`
  const bus = pubsubBus({ projectId: 'bench', endpoint: pubsub })
  await bus.ensure(topology(['cloud'], ONE_MACHINE))
  await bus.close()
  const port = 20_000 + Math.floor(Math.random() * 10_000)
  const at = (name: string) => pathToFileURL(join(folder, name)).href
  const ingest = start('../../services/ingest/main.ts', {
    project: 'bench',
    pubsub,
    database: dsn,
    port,
    log_level: 'warn',
    rate_limit_per_minute: 0,
    assets: at('assets'),
    scratch: at('scratch'),
    uploads: at('uploads'),
  })
  await messageWith(ingest, 'ready')

  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  await oneByOne(2000, port, agent)
  const { seconds, times } = await oneByOne(jobs, port, agent)
  const rate = Math.round(jobs / seconds).toLocaleString('en')
  console.log(
    `one by one, ${connections} connections: ${rate} jobs/s, p50 ${at100(times, 0.5)} ms, p99 ${at100(times, 0.99)} ms`,
  )
  if (tracks > 0) await besideReads(port, agent)
  const lines = await asLines(jobs, port)
  console.log(`as lines: ${Math.round(jobs / lines).toLocaleString('en')} jobs/s`)
  agent.destroy()
  const database = openDatabase({ dsn })
  const job = await jobsOfRequest(database, requestId(jobs - 1))
  console.log(`the last job's row is ${job.length === 1 ? 'there' : 'not there yet'}`)
  await database.close()
} finally {
  for (const child of children.reverse()) {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  }
  await postgres.stop()
  await rm(folder, { recursive: true })
}

async function fill(dsn: string): Promise<void> {
  const database = openDatabase({ dsn, statementMs: 3600_000 })
  await migrate(database)
  await fillCatalogue(database, tracks)
  await database.close()
}

/** Posts without and with eight slow reads at once, in turn, and prints the medians of both and their ratio. */
async function besideReads(port: number, agent: Agent): Promise<void> {
  const [alone, beside]: [number[], number[]] = [[], []]
  const reads: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    alone.push(percentile((await oneByOne(jobs, port, agent)).times, 0.99))
    const stop = new AbortController()
    const readers = SLOW_READS.map((query) => readAgain(port, query, stop.signal, reads))
    beside.push(percentile((await oneByOne(jobs, port, agent)).times, 0.99))
    stop.abort()
    await Promise.all(readers)
  }
  const [before, after] = [alone, beside].map((all) =>
    percentile(
      all.toSorted((a, b) => a - b),
      0.5,
    ),
  ) as [number, number]
  const each = percentile(
    reads.toSorted((a, b) => a - b),
    0.5,
  )
  console.log(
    `beside 8 slow reads at once, ${tracks} tracks: p99 ${after.toFixed(1)} ms, without them ${before.toFixed(1)} ms, ratio ${(after / before).toFixed(2)}, a read p50 ${each.toFixed(0)} ms, ${reads.length} reads`,
  )
}

async function readAgain(port: number, query: string, stop: AbortSignal, took: number[]) {
  while (!stop.aborted) {
    const began = performance.now()
    const response = await fetch(`http://127.0.0.1:${port}/v1/tracks?limit=100&${query}`)
    await response.text()
    if (!response.ok) throw new Error(`${query} answered ${response.status}`)
    took.push(performance.now() - began)
  }
}

async function oneByOne(count: number, port: number, agent: Agent) {
  const times: number[] = []
  let next = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < count) {
        const body = job(next++)
        const sent = performance.now()
        const status = await post(port, agent, body)
        times.push(performance.now() - sent)
        if (status !== 202) throw new Error(`answered ${status}`)
      }
    }),
  )
  return { seconds: (performance.now() - began) / 1000, times: times.sort((a, b) => a - b) }
}

function post(port: number, agent: Agent, body: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const options = {
      port,
      host: '127.0.0.1',
      path: '/v1/jobs',
      method: 'POST',
      agent,
      headers,
    }
    request(options, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0))
    })
      .on('error', reject)
      .end(body)
  })
}

async function asLines(count: number, port: number): Promise<number> {
  const body = Array.from({ length: count }, (_, index) => job(index)).join('\n')
  const began = performance.now()
  const response = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  })
  const results = (await response.text()).trim().split('\n')
  const refused = results.filter((line) => !line.includes('"status":202'))
  if (results.length !== count || refused.length > 0)
    throw new Error(refused[0] ?? 'lines are missing')
  return (performance.now() - began) / 1000
}

function job(number: number): string {
  return JSON.stringify({
    request_id: requestId(number),
    release_id: 2_810_458,
    asset_id: number,
    asset_guid: `track-${number}`,
    derivative_assets: ['bpm', 'key', 'aac-128'],
  })
}

function requestId(number: number): string {
  return `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
}

function at100(sorted: readonly number[], part: number): string {
  return percentile(sorted, part).toFixed(1)
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.floor(sorted.length * part)] ?? 0
}

function start(path: string, config: object, args: readonly string[] = []): ChildProcess {
  const child = fork(new URL(path, import.meta.url), args, {
    env: {
      PATH: process.env.PATH,
      METADATA_SERVER_DETECTION: 'none',
      ...configEnv(config as Partial<Config>),
    },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  children.push(child)
  return child
}

async function messageWith(child: ChildProcess, key: string): Promise<unknown> {
  while (true) {
    const [message] = (await once(child, 'message')) as [Record<string, unknown>]
    if (key in message) return message[key]
  }
}
