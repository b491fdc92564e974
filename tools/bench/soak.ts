// Keeps a queue of short tracks full for a long time, and measures whether memory and open handles stay flat, and
// how busy the cores are.
//   npm run soak [-- --minutes 30] [--seconds 30] [--json]
import { mkdir, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { json } from '#shared/contracts/message.ts'
import { STAGES } from '#shared/contracts/stages.ts'
import { coresOf, holdingsOf } from '../local/process-usage.ts'
import { type Chain, startChain } from '../local/supervisor.ts'
import { writeClub } from './material.ts'

const WANTED = ['bpm', 'key', 'waveform', 'loudness', 'aac-128']
/** The services that compute. */
const WORKERS = STAGES
/** Tracks under way at any moment: more than the services work on. */
const AHEAD = 10 * availableParallelism()
const LOOK_MS = 5_000
const PRINT_MS = 60_000
/** Time until compilers and caches are warm, ms. */
const WARM_MS = 60_000
/** The largest relative difference between the last third and the middle one that counts as flat. */
const FLAT = 0.15

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seconds: { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
})
const minutes = Number(values.minutes)
const say = (text: string) => process.stderr.write(`${text}\n`)

/** One sample of all processes. */
interface Sample {
  readonly holdings: Awaited<ReturnType<typeof holdingsOf>>
  readonly coreMs: Readonly<Record<string, number>>
  readonly at: number
}

const folder = join(tmpdir(), `trackchain-soak-${process.pid}`)
await mkdir(folder)
try {
  const master = join(folder, 'master.wav')
  await writeClub(master, Number(values.seconds), { isMix: false })
  const chain = await startChain({
    dataFolder: join(folder, 'data'),
    port: 0,
    pubsubPort: 0,
    prefixes: [`${pathToFileURL(folder).href}/`],
    onNotice: say,
  })
  try {
    await soak(chain, pathToFileURL(master).href)
  } finally {
    await chain.close()
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function soak(chain: Chain, master: string): Promise<void> {
  const queue = keepFull(chain, master)
  await sleep(WARM_MS)
  const samples: Sample[] = []
  const began = performance.now()
  let printed = began
  let before = await sample(chain)
  const [doneBefore, first] = [queue.done(), before]
  while (performance.now() - began < minutes * 60_000) {
    await sleep(LOOK_MS)
    const now = await sample(chain)
    samples.push(now)
    if (now.at - printed < PRINT_MS) continue
    printed = now.at
    say(
      `${((now.at - began) / 60_000).toFixed(0)} min: ${queue.done()} tracks, ${line(before, now)}`,
    )
    before = now
  }
  const last = samples.at(-1) ?? first
  const done = queue.done() - doneBefore
  await queue.close()
  const letters = await queue.letters()
  const busy = busyness(first, last)
  const flat = Object.fromEntries(
    Object.keys(last.holdings).map((name) => [name, flatness(samples, name)]),
  )
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ minutes, done, letters, busy, flat })}\n`)
    return
  }
  const perMinute = (done / ((last.at - first.at) / 60_000)).toFixed(0)
  console.log(
    `${done} tracks of ${values.seconds} s in ${minutes} min, ${perMinute} a minute; ${letters} dead letters`,
  )
  console.log(
    `cores: ${percent(busy.workers)} used by ${WORKERS.join(', ')}, ${percent(busy.all)} by all processes`,
  )
  console.log('memory and open handles, mean of the middle third and of the last:')
  for (const [name, { rss, handles }] of Object.entries(flat)) {
    console.log(
      `  ${name.padEnd(9)} ${summary(rss, (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`)}; ${summary(handles, (n) => n.toFixed(1))}`,
    )
  }
  const isFlat = Object.values(flat).every(({ rss, handles }) => rss.isFlat && handles.isFlat)
  console.log(isFlat ? 'FLAT: memory and handles' : 'NOT FLAT: see above')
  if (!isFlat || letters > 0) process.exitCode = 1
}

/** Submits a track for each that is done, and removes the assets of that one. */
function keepFull(chain: Chain, master_uri: string) {
  const bus = pubsubBus(chain.link)
  let [submitted, done, isOver] = [0, 0, false]
  async function submit(): Promise<void> {
    const job = { asset_guid: `soak-${submitted++}`, derivative_assets: WANTED, master_uri }
    await bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
  }
  const options = {
    concurrency: 100,
    longestMs: 30_000,
    onError: (error: Error) => say(error.message),
  }
  const seen = new Set<string>()
  const ears = [
    bus.subscribe('published', options, async ({ data }) => {
      const { asset_guid } = json(data, 'published') as { asset_guid: string }
      if (seen.has(asset_guid)) return 'ack'
      seen.add(asset_guid)
      done++
      if (!isOver) await submit()
      await rm(join(chain.folder.assets, 'assets', asset_guid), {
        recursive: true,
        force: true,
      })
      return 'ack'
    }),
  ]
  for (let n = 0; n < AHEAD; n++) void submit()
  return {
    done: () => done,
    /** The number of dead letters, 100 at most. */
    async letters(): Promise<number> {
      const answer = await fetch(`${chain.url}/v1/dead-letters?limit=100`)
      return ((await answer.json()) as { letters: unknown[] }).letters.length
    },
    async close() {
      isOver = true
      for (const ear of ears) await ear.close()
      await bus.close()
    },
  }
}

async function sample(chain: Chain): Promise<Sample> {
  const pids = chain.pids()
  const [holdings, coreMs] = await Promise.all([holdingsOf(pids), coresOf(pids)])
  return { holdings, coreMs, at: performance.now() }
}

/** Busy shares of all cores between two samples, 0 to 1. */
function busyness(from: Sample, to: Sample): { workers: number; all: number } {
  const wall = (to.at - from.at) * availableParallelism()
  const spent = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + (to.coreMs[name] ?? 0) - (from.coreMs[name] ?? 0), 0) /
    wall
  return { workers: spent(WORKERS), all: spent(Object.keys(to.coreMs)) }
}

function line(from: Sample, to: Sample): string {
  const { workers, all } = busyness(from, to)
  const each = Object.entries(to.holdings).map(
    ([name, { rssBytes, handles }]) =>
      `${name} ${(rssBytes / 2 ** 20).toFixed(0)} MiB/${handles}`,
  )
  return `workers ${percent(workers)}, all ${percent(all)}; ${each.join(', ')}`
}

function flatness(samples: readonly Sample[], name: string) {
  const third = Math.floor(samples.length / 3)
  const [middle, last] = [samples.slice(third, 2 * third), samples.slice(2 * third)]
  const compare = (what: (held: Sample['holdings'][string]) => number) => {
    const mean = (some: readonly Sample[]) =>
      some.reduce((sum, { holdings }) => sum + what(holdings[name] ?? NONE), 0) / some.length
    const [before, after] = [mean(middle), mean(last)]
    return { before, after, isFlat: Math.abs(after - before) <= FLAT * before }
  }
  return {
    rss: compare(({ rssBytes }) => rssBytes),
    handles: compare(({ handles }) => handles),
  }
}

const NONE = { rssBytes: 0, handles: 0 }

function summary(
  { before, after, isFlat }: ReturnType<typeof flatness>['rss'],
  format: (value: number) => string,
): string {
  return `${format(before)} → ${format(after)}${isFlat ? '' : ' NOT FLAT'}`
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}
