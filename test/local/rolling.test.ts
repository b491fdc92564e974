import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import { json } from '#shared/message.ts'
import { startChain } from '../../services/local/supervisor.ts'
import { club, wav } from '../support/audio.ts'
import { until } from '../support/chain.ts'
import { patient } from '../support/patience.ts'

t.setTimeout(patient(1_200_000))

const SERVICES = ['ingest', 'stage', 'analyze', 'encode', 'publish']

t.test(
  'every service is restarted in turn under load: nothing is lost, nothing is dead-lettered',
  async (t) => {
    const dataFolder = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
    t.teardown(() => rm(dataFolder, { recursive: true, force: true }))
    const deaths: string[] = []
    const chain = await startChain({
      ...{ dataFolder, port: 0, pubsubPort: 0 },
      onNotice: (sentence) => deaths.push(sentence),
    })
    t.teardown(() => chain.close())
    const bus = pubsubBus(chain.link)
    const states = new Map<string, string>()
    const options = { concurrency: 100, longestMs: 5000, onError: () => {} }
    const ear = bus.subscribe('published', options, async ({ data }) => {
      const { asset_guid, state } = json(data, 'published') as Record<string, string>
      states.set(asset_guid ?? '', state ?? '')
      return 'ack'
    })
    t.teardown(async () => {
      await ear.close()
      await bus.close()
    })
    const tracks: string[] = []
    const submit = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const asset_guid = `track-${tracks.length}`
        await writeFile(join(chain.folder.masters, `${asset_guid}.wav`), master)
        const job = { asset_guid, derivative_assets: ['loudness', 'waveform', 'aac-128'] }
        await bus.publish('ingest', { data: Buffer.from(JSON.stringify(job)), attributes: {} })
        tracks.push(asset_guid)
      }
    }
    const master = wav(club(44_100))
    for (const name of SERVICES) {
      await submit(4)
      await until(() => states.size > 0, 150_000)
      const before = chain.pids()[name]
      process.kill(before ?? 0, 'SIGTERM')
      await until(() => ![before, undefined].includes(chain.pids()[name]), 150_000)
      t.match(deaths.at(-1), new RegExp(`^${name} died .exit code 0`))
    }
    await until(() => tracks.every((track) => states.has(track)), 400_000)
    t.same(new Set(states.values()), new Set(['done']))
    t.match(await (await fetch(`${chain.url}/v1/dead-letters`)).json(), {
      letters: [],
      next: null,
    })
    t.equal(deaths.length, SERVICES.length)
  },
)
