// Measures five steps on this project's chain and on other durable queues, in turn:
//   npm run bench:peers -- [--jobs 3000] [--rounds 1] [--work new,queue] [--chains trackchain,pubsub,…] [--folder DIR]
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { wavPart } from '#shared/audio/wav-part.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { clubTrack, interleaved } from '../local/synth.ts'
import { ownChain, plainChain, type RunningChain } from './peers/chains.ts'
import { KINDS, type KindName } from './peers/kinds.ts'
import { type Measured, measured } from './peers/measure.ts'
import { installPeers } from './peers/packages.ts'
import { table } from './peers/table.ts'

const OWN = 'trackchain'
const WORK = {
  new: 'new tracks: each step does its part of a job without audio work',
  queue: 'queue only: each step passes the job on',
} as const
const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '1' },
    work: { type: 'string', default: Object.keys(WORK).join(',') },
    chains: { type: 'string', default: [OWN, ...Object.keys(KINDS)].join(',') },
    folder: { type: 'string', default: join(tmpdir(), `trackchain-peers-${process.pid}`) },
  },
})
const jobs = whole(values.jobs)
const rounds = whole(values.rounds)
const works = chosen(values.work, Object.keys(WORK)) as (keyof typeof WORK)[]
const chains = chosen(values.chains, [OWN, ...Object.keys(KINDS)])
/** Jobs that are not counted, so that connections are open and code is compiled. */
const WARM_UP = Math.min(jobs, 500)

await installPeers()
const { folder } = values
const master = join(folder, 'masters', 'master.wav')
await mkdir(join(folder, 'masters'), { recursive: true })
try {
  // One master for all tracks: reading it is part of the chain, synthesis is not.
  const samples = interleaved(clubTrack({ sampleRate: SAMPLE_RATE, bars: 1 }))
  await writeFile(master, wavPart(samples))
  for (const work of works) {
    const runs = new Map<string, Measured[]>()
    for (let round = 0; round < rounds; round++) {
      for (const name of chains) {
        // The whole chain has no variant that does nothing; its queue alone has.
        if (name === OWN && work === 'queue') continue
        const run = await once(name, work)
        runs.set(name, [...(runs.get(name) ?? []), run])
      }
    }
    console.log(`\n${WORK[work]}; ${jobs} jobs, medians of ${rounds}\n`)
    console.log(table(runs))
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function once(name: string, work: keyof typeof WORK): Promise<Measured> {
  const place = join(folder, name)
  const chain = await start(name, place, work === 'new')
  try {
    await measured(chain, WARM_UP, { master, prefix: 'warm' })
    await chain.settle()
    return await measured(chain, jobs, { master, prefix: 'new' })
  } finally {
    await chain.close()
    await rm(place, { recursive: true, force: true })
  }
}

function start(name: string, place: string, isWorking: boolean): Promise<RunningChain> {
  if (name === OWN) return ownChain(place, master)
  return plainChain(name as KindName, place, { isWorking })
}

function whole(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) usage(`expected a whole number from 1: ${text}`)
  return number
}

function chosen(text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',')
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) usage(`there is no ${unknown}; there are ${known.join(', ')}`)
  return names
}

function usage(words: string): never {
  console.error(
    `error: ${words}\nusage: npm run bench:peers -- [--jobs 3000] [--rounds 1] [--work new,queue] [--chains ${OWN},…]`,
  )
  process.exit(2)
}
