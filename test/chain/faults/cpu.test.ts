import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { coded, wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { onOtherCpu } from '../../support/processes/other-cpu.ts'
import { club } from '../../support/synth.ts'

const around = await surroundings()
t.teardown(() => around.close())
const { bus, database, config, published } = around
const log = createLog('cpu', 'error')

const SECONDS = 8
const music = wav(club(SECONDS * 48_000, { rate: 48_000 }), { rate: 48_000 })
const ALL = [
  ...['bpm', 'key', 'loudness', 'aac-128', 'mp3-128', 'mp3-320', 'flac', 'preview', 'waveform'],
]

interface Outcome {
  readonly state: string
  readonly files: Record<string, string>
}

t.test('the chain makes the same files and finds the same numbers on any CPU', async (t) => {
  // Of the second one enough to show every sample that its decoder gave.
  const masters = {
    mp3: { master: await coded('a.mp3', music, ['-b:a', '320k']), derivative_assets: ALL },
    aac: {
      master: await coded('a.m4a', music, ['-b:a', '256k']),
      derivative_assets: ['flac', 'loudness'],
    },
  }
  const requestId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
  let n = 0
  const outcomes = async (where: string) => {
    const consumers = await allConsumers({ config, bus, database, log })
    const jobs = Object.entries(masters).map(([kind, { master, derivative_assets }]) => {
      const job = { request_id: requestId(++n), asset_guid: `${kind}-${where}` }
      return { ...job, kind, master, derivative_assets }
    })
    for (const { kind, master, ...job } of jobs) {
      await around.master(job.asset_guid, master)
      await around.submit(job)
    }
    await until(() => jobs.every(({ asset_guid }) => published.has(asset_guid)), 200_000)
    await consumers.close()
    const made = jobs.map(async ({ kind, asset_guid, request_id }) => {
      const outcome = (await around.outcome(asset_guid, request_id)) as Outcome
      return [kind, outcome] as const
    })
    return Object.fromEntries(await Promise.all(made))
  }
  const here = await outcomes('here')
  const there = await onOtherCpu('0', () => outcomes('there'))
  for (const [kind, { derivative_assets }] of Object.entries(masters)) {
    t.equal(here[kind]?.state, 'done', kind)
    const files = Object.keys(here[kind]?.files ?? {})
    t.ok(files.length >= derivative_assets.length, `and its files: ${files.join(', ')}`)
    t.same(there[kind], here[kind], `${kind}: equal to the byte`)
  }
})
