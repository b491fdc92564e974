// Measures the chain without audio work, with everything on: journal, events, rows, health, logs.
//   node tools/bench/chain.bench.ts [--jobs 50000] [--seconds 20] [--folder DIR]
import { rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { wavPart } from '#shared/audio/wav-part.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { coresOf } from '../local/process-usage.ts'
import { startChain } from '../local/supervisor.ts'
import { clubTrack, interleaved } from '../local/synth.ts'
import { hearAnnounced } from './listen.ts'

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '50000' },
    seconds: { type: 'string', default: '20' },
    folder: { type: 'string', default: join(tmpdir(), `trackchain-bench-${process.pid}`) },
  },
})
const jobs = Number(values.jobs)
const seconds = Number(values.seconds)

// One master for all tracks: reading it is part of the chain, synthesis is not.
const master = `${values.folder}.wav`
await writeFile(master, wavPart(interleaved(clubTrack({ sampleRate: SAMPLE_RATE, bars: 1 }))))
// Steps that compute nothing only wait for servers, so they need a large window.
process.env.TRACKCHAIN_CONCURRENCY ??= '200'
const chain = await startChain({
  dataFolder: values.folder,
  port: 0,
  pubsubPort: 0,
  prefixes: [`file://${dirname(master)}`],
  derivatives: new URL('derivatives', import.meta.url).pathname,
  onNotice: (sentence) => console.error(sentence),
})
const bus = pubsubBus(chain.link)
const { at: announced, ear } = hearAnnounced(bus, 'request_id')
const wanted = ['nothing-analyzed', 'nothing-encoded']
let minted = 0
// Tracks whose assets the throughput phase has made: only the chain's own work is left.
const existing = (n: number) => `new-${n % jobs}`
const requestId = () => `00000000-0000-4000-8000-${String(minted++).padStart(12, '0')}`
const body = (request_id: string, asset_guid: string) =>
  JSON.stringify({
    request_id,
    asset_guid,
    derivative_assets: wanted,
    master_uri: `file://${master}`,
  })

try {
  await phase('warm up', 2000, () => throughput('warm', 2000))
  await phase('new tracks, through all five services', jobs, () => throughput('new', jobs))
  await phase('tracks that have it all, nothing to make', jobs, () => throughput('new', jobs))
  await phase(`the same, paced at 600 jobs/s for ${seconds} s`, 600 * seconds, async () =>
    shown(await pace(600, seconds)),
  )
  await phase(
    `the same by POST, one by one, 50 connections, ${seconds} s`,
    undefined,
    async () => {
      const { perSecond, failed, took } = await post(50, seconds)
      return `${perSecond}/s, ${shown(took)}, ${failed} failed`
    },
  )
} finally {
  await ear.close()
  await bus.close()
  await chain.close()
  await rm(values.folder, { recursive: true, force: true })
  await rm(master, { force: true })
}

/** Runs a phase, and prints its result and where the time went. */
async function phase(title: string, count: number | undefined, run: () => Promise<string>) {
  const before = await cores()
  console.log(`${title}: ${await run()}`)
  const after = await cores()
  const spent = Object.entries(after).map(([name, ms]) => {
    const used = ms - (before[name] ?? 0)
    return `${name} ${count === undefined ? `${(used / 1000).toFixed(1)} s` : (used / count).toFixed(2)}`
  })
  console.log(
    `  core-${count === undefined ? 'seconds' : 'milliseconds a job'}: ${spent.join(', ')}`,
  )
}

/** Measures jobs a minute, from the first publish to the last announcement; rows are committed before that. */
async function throughput(prefix: string, count: number): Promise<string> {
  const before = announced.size
  const start = performance.now()
  const pending: Promise<unknown>[] = []
  for (let n = 0; n < count; n++) {
    const data = Buffer.from(body(requestId(), `${prefix}-${n}`))
    pending.push(bus.publish('ingest', { data, attributes: {} }))
    if (n % 500 === 499) await Promise.all(pending.splice(0))
  }
  await Promise.all(pending)
  while (announced.size < before + count) {
    if (performance.now() - start > 600_000)
      throw new Error(`${announced.size - before} of ${count}`)
    await sleep(20)
  }
  return `${Math.round((count / (performance.now() - start)) * 60_000)} jobs a minute`
}

/** Measures the time from publish to announcement with evenly spaced jobs, ms. */
async function pace(perSecond: number, seconds: number): Promise<number[]> {
  const sent = new Map<string, number>()
  const start = performance.now()
  for (let n = 0; n < perSecond * seconds; ) {
    const due = Math.floor(((performance.now() - start) / 1000) * perSecond)
    for (; n < Math.min(due, perSecond * seconds); n++) {
      const id = requestId()
      sent.set(id, performance.now())
      void bus.publish('ingest', { data: Buffer.from(body(id, existing(n))), attributes: {} })
    }
    await sleep(5)
  }
  while ([...sent.keys()].some((id) => !announced.has(id))) await sleep(50)
  return [...sent].map(([id, at]) => (announced.get(id) ?? 0) - at).sort((a, b) => a - b)
}

async function post(connections: number, seconds: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const took: number[] = []
  let failed = 0
  const start = performance.now()
  const end = start + seconds * 1000
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < end) {
        const at = performance.now()
        const id = requestId()
        if ((await postOne(agent, body(id, existing(took.length)))) === 202)
          took.push(performance.now() - at)
        else failed++
      }
    }),
  )
  agent.destroy()
  const perSecond = Math.round((took.length / (performance.now() - start)) * 1000)
  return { perSecond, failed, took: took.sort((a, b) => a - b) }
}

function postOne(agent: Agent, text: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    }
    const sending = request(
      `${chain.url}/v1/jobs`,
      { method: 'POST', agent, headers },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode))
      },
    )
    sending.on('error', reject).end(text)
  })
}

function shown(sorted: readonly number[]): string {
  const at = (part: number) => sorted[Math.floor(sorted.length * part)]?.toFixed(0)
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`
}

/** Core time of each process of the chain, and of this one, since its start, ms. */
async function cores(): Promise<Record<string, number>> {
  const { user, system } = process.cpuUsage()
  return { bench: (user + system) / 1000, ...(await coresOf(chain.pids())) }
}
