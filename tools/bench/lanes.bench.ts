// Measures how long an urgent job takes while a backlog waits in the lane backfill, against an idle chain.
//   npm run bench:lanes -- [--backlog 50000] [--urgent 200]       jobs without audio work
//   npm run bench:lanes -- --masters FOLDER [--urgent 20]         the files of a folder: the last ones are urgent
//   --emulator                                                             over Google's Pub/Sub emulator
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { openDatabase } from '#shared/catalogue/database.ts'
import type { Lane } from '#shared/contracts/lanes.ts'
import { laneChain, NOTHING, shownTimes } from './lane-chain.ts'
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
const emulator = values.emulator ? await emulatorWire() : undefined
const lanes = await laneChain({ masters: values.masters, pubsub: emulator?.endpoint })
const { client, masters, announced } = lanes
const database = openDatabase({ dsn: lanes.chain.database })

const hasMasters = values.masters !== undefined
const backlog = hasMasters ? masters.length - 2 * urgent : Number(values.backlog)
const wanted = hasMasters ? ['bpm', 'key', 'loudness', 'waveform', 'aac-128'] : NOTHING
const jobs = (from: number, count: number, lane: Lane) =>
  Array.from({ length: count }, (_, index) => ({
    asset_guid: `track-${from + index}`,
    master_uri: masters[(from + index) % masters.length] ?? '',
    derivative_assets: wanted,
    lane,
  }))

try {
  // The first job of a process loads what the others find loaded.
  await lanes.oneByOne(jobs(backlog, 2, 'urgent'))
  const idle = await lanes.oneByOne(jobs(backlog + 2, urgent - 2, 'urgent'))
  console.log(`idle: ${shownTimes(idle)}`)
  const before = announced.size
  const began = performance.now()
  for (let n = 0; n < backlog; n += 2000) {
    const lines = jobs(n, Math.min(2000, backlog - n), 'backfill')
    await client.submitLines(lines.map((line) => JSON.stringify(line)).join('\n'))
  }
  await sleep(1000)
  console.log(`${backlog} of backfill posted in ${Math.round(performance.now() - began)} ms`)
  const busy = await lanes.oneByOne(jobs(backlog + urgent, urgent, 'urgent'))
  console.log(`while they wait: ${shownTimes(busy)}`)
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
  await database.close()
  await lanes.close()
  await emulator?.stop()
}
