// Measures how long an urgent job takes while a backlog waits in the lane backfill, against an idle chain.
//   npm run bench:lanes -- [--backlog 50000] [--urgent 200]       jobs without audio work
//   npm run bench:lanes -- --masters FOLDER [--urgent 20]         the files of a folder: the last ones are urgent
//   --emulator                                                             over Google's Pub/Sub emulator
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { wavPart } from '#shared/audio/wav-part.ts'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { openDatabase } from '#shared/catalogue/database.ts'
import type { Lane } from '#shared/contracts/lanes.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { startChain } from '../local/supervisor.ts'
import { clubTrack, interleaved } from '../local/synth.ts'
import { hearAnnounced } from './listen.ts'
import { emulatorWire } from './wires.ts'

const { values } = parseArgs({
  options: {
    masters: { type: 'string' },
    backlog: { type: 'string', default: '50000' },
    urgent: { type: 'string', default: '20' },
    emulator: { type: 'boolean', default: false },
  },
})
const urgent = Number(values.urgent)
const folder = await mkdtemp(join(tmpdir(), 'trackchain-lanes-'))
// The database may run as another user.
await chmod(folder, 0o755)
const master = join(folder, 'master.wav')
await writeFile(master, wavPart(interleaved(clubTrack({ sampleRate: SAMPLE_RATE, bars: 1 }))))
const masters = values.masters === undefined ? undefined : resolve(values.masters)
const files = masters === undefined ? [] : (await readdir(masters)).sort()
const emulator = values.emulator ? await emulatorWire() : undefined
// Steps that compute nothing only wait for servers, so they need a large window.
if (masters === undefined) process.env.TRACKCHAIN_CONCURRENCY ??= '200'
const chain = await startChain({
  dataFolder: join(folder, 'data'),
  ...{ port: 0, pubsubPort: 0, pubsub: emulator?.endpoint },
  prefixes: [`file://${folder}/`, ...(masters === undefined ? [] : [`file://${masters}/`])],
  derivatives: new URL('derivatives', import.meta.url).pathname,
  onNotice: (sentence) => console.error(sentence),
})
const database = openDatabase({ dsn: chain.database })
const bus = pubsubBus(chain.link)
const { at: announced, ear } = hearAnnounced(bus, 'asset_guid')

const backlog = masters === undefined ? Number(values.backlog) : files.length - 2 * urgent
const wanted =
  masters === undefined
    ? ['nothing-analyzed', 'nothing-encoded']
    : ['bpm', 'key', 'loudness', 'waveform', 'aac-128']
const job = (n: number, lane: Lane) =>
  JSON.stringify({
    asset_guid: `track-${n}`,
    derivative_assets: wanted,
    master_uri: `file://${masters === undefined ? master : join(masters, files[n] ?? '')}`,
    lane,
  })

try {
  // The first job of a process loads what the others find loaded.
  await urgentJobs(backlog, 2)
  const idle = await urgentJobs(backlog + 2, urgent - 2)
  console.log(`idle: ${shown(idle)}`)
  const before = announced.size
  const began = performance.now()
  for (let n = 0; n < backlog; n += 2000) {
    const lines = Array.from({ length: Math.min(2000, backlog - n) }, (_, index) =>
      job(n + index, 'backfill'),
    )
    await post('application/x-ndjson', lines.join('\n'))
  }
  await sleep(1000)
  console.log(`${backlog} of backfill posted in ${Math.round(performance.now() - began)} ms`)
  const busy = await urgentJobs(backlog + urgent, urgent)
  console.log(`while they wait: ${shown(busy)}`)
  const left = backlog + before + urgent - announced.size
  console.log(`${left} of backfill left when the last urgent one was announced`)
  const median = idle[idle.length >> 1] ?? 0
  const within = busy.filter((ms) => ms <= 2 * median).length
  console.log(`${within} of ${busy.length} within twice the idle median`)
  while (announced.size < backlog + 2 * urgent) await sleep(100)
  const rate = Math.round((backlog / (performance.now() - began)) * 60_000)
  console.log(`all published after ${Math.round(performance.now() - began)} ms (${rate}/min)`)
  await sleep(2000)
  const [attempts] = await database.query<{ most: number; letters: number }>({
    text: `select max(attempt) as most, (select count(*)::int from dead_letter) as letters from event`,
  })
  console.log(`most attempts ${attempts?.most}, dead letters ${attempts?.letters}`)
} finally {
  await ear.close()
  await bus.close()
  await database.close()
  await chain.close()
  await emulator?.stop()
  await rm(folder, { recursive: true, force: true })
}

/** Posts urgent jobs one after the other. @returns the times from the POST to the announcement, ms, sorted */
async function urgentJobs(from: number, count: number): Promise<number[]> {
  const took: number[] = []
  for (let n = from; n < from + count; n++) {
    const began = performance.now()
    await post('application/json', job(n, 'urgent'))
    while (!announced.has(`track-${n}`)) await sleep(2)
    took.push((announced.get(`track-${n}`) ?? 0) - began)
    console.error(`track-${n}: ${Math.round(took.at(-1) ?? 0)} ms`)
  }
  return took.sort((a, b) => a - b)
}

async function post(type: string, body: string): Promise<void> {
  const init = { method: 'POST', headers: { 'content-type': type }, body }
  const response = await fetch(`${chain.url}/v1/jobs`, init)
  const said = await response.text()
  if (!response.ok) throw new Error(said)
}

function shown(sorted: readonly number[]): string {
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return `p50 ${at(0.5)} ms, p90 ${at(0.9)}, p99 ${at(0.99)}, longest ${at(1)} (${sorted.length})`
}
