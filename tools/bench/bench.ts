// Measures what a track costs, by step and by asset, and compares it with the same work by hand in the same run:
//   npm run bench [-- --track WAV] [--mix-hours 2] [--rounds 3] [--queue 40] [--core-slowdown 1] [--json]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { loadRegistry } from '#shared/assets/registry.ts'
import { endedChildrenMs } from '#shared/frame/telemetry/cpu-time.ts'
import { startChain } from '../local/supervisor.ts'
import { coreFactor } from '../preflight/core-check.ts'
import { pathFrom, slowdownFrom } from '../terminal/usage.ts'
import { type Cost, costOf, median } from './cost-of-run.ts'
import { writeClub } from './material.ts'
import { type BenchResult, benchReport } from './report.ts'
import { type Spent, type Workload, workload } from './workload.ts'

const TRACK_SECONDS = 433
/** Length of each track of the queue, s: long enough that the steps outweigh the time between them. */
const QUEUE_SECONDS = 180
/** The assets that by-hand.ts makes as well. */
const COMMON = ['bpm', 'key', 'waveform', 'loudness', 'aac-128']

const { values } = parseArgs({
  options: {
    track: { type: 'string' },
    'mix-hours': { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    queue: { type: 'string', default: '40' },
    'core-slowdown': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
})
const rounds = Math.max(1, Number(values.rounds))
const mixSeconds = Number(values['mix-hours']) * 3600
const queueLength = Number(values.queue)
const coreSlowdown = slowdownFrom(values['core-slowdown'])
const say = (text: string) => process.stderr.write(`${text}\n`)

const folder = join(tmpdir(), `trackchain-bench-${process.pid}`)
const made = (name: string) => join(folder, name)
await mkdir(folder)
try {
  say('Making the material …')
  const track = values.track === undefined ? made('track.wav') : pathFrom(values.track)
  if (values.track === undefined) await writeClub(track, TRACK_SECONDS, { isMix: false })
  if (mixSeconds > 0) await writeClub(made('mix.wav'), mixSeconds, { isMix: true })
  if (queueLength > 0) await writeClub(made('queue.wav'), QUEUE_SECONDS, { isMix: false })
  say('Starting the chain …')
  const chain = await startChain({
    dataFolder: made('data'),
    port: 0,
    pubsubPort: 0,
    prefixes: [folder, dirname(track)].map((path) => `${pathToFileURL(path).href}/`),
    coreSlowdown,
    onNotice: say,
  })
  try {
    const load = await workload(chain)
    const result = await measure(load, track)
    await load.close()
    const text = values.json ? JSON.stringify(result) : benchReport(result)
    process.stdout.write(`${text}\n`)
  } finally {
    await chain.close()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function measure(load: Workload, track: string): Promise<BenchResult> {
  const uri = pathToFileURL(track).href
  // Compilers and caches are warm in a service that has been up for a minute.
  say('Warming up …')
  await load.run({ warm: uri }, COMMON)
  const runs: Spent[] = []
  const hands: number[] = []
  const factors: number[] = []
  for (let round = 1; round <= rounds; round++) {
    say(`The track, round ${round} of ${rounds} …`)
    factors.push(await coreFactor(AbortSignal.timeout(60_000)))
    hands.push(await byHand(track))
    runs.push(await load.run({ [`track-${round}`]: uri }, COMMON))
  }
  const alone: Record<string, Cost> = {}
  for (const asset of (await loadRegistry()).keys()) {
    say(`Alone: ${asset} …`)
    alone[asset] = costOf([await load.run({ [`alone-${asset}`]: uri }, [asset])])
  }
  say('Once more, when all is there …')
  const again = costOf([await load.run({ 'track-1': uri }, COMMON)])
  return {
    cores: availableParallelism(),
    slower: median(factors),
    track: compared(runs, hands),
    alone,
    again,
    ...(mixSeconds > 0 ? { mix: await measureMix(load) } : {}),
    ...(queueLength > 0 ? { queue: await measureQueue(load) } : {}),
  }
}

async function measureMix(load: Workload) {
  say('The mix, by hand …')
  const hand = await byHand(made('mix.wav'))
  say('The mix …')
  return compared(
    [await load.run({ mix: pathToFileURL(made('mix.wav')).href }, COMMON)],
    [hand],
  )
}

/** Measures how busy a queue that never runs empty keeps the cores. */
async function measureQueue(load: Workload) {
  say('A full queue …')
  const uri = pathToFileURL(made('queue.wav')).href
  const tracks = Array.from({ length: queueLength }, (_, i) => [`queue-${i}`, uri])
  const spent = await load.run(Object.fromEntries(tracks), COMMON)
  const cost = costOf([spent])
  return {
    tracks: queueLength,
    secondsEach: QUEUE_SECONDS,
    busy: Number((cost.coreSeconds / cost.wallSeconds / availableParallelism()).toFixed(3)),
    perMinute: Number(((queueLength / cost.wallSeconds) * 60).toFixed(1)),
    cost,
  }
}

function compared(runs: readonly Spent[], hands: readonly number[]) {
  const cost = costOf(runs)
  const byHandSeconds = Number((median(hands) / 1000).toFixed(2))
  return {
    ...cost,
    byHandSeconds,
    ratio: Number((cost.coreSeconds / byHandSeconds).toFixed(2)),
  }
}

/** Core time of the same work by hand, ms. */
async function byHand(file: string): Promise<number> {
  const before = endedChildrenMs()
  const script = new URL('by-hand.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [script, file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`by hand: exit code ${code}`)
  return Number(endedChildrenMs()) - Number(before)
}
