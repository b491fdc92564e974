import { randomUUID } from 'node:crypto'
import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

const around = await surroundings({ target_ms: 200 })
t.teardown(() => around.close())
const { bus, database, config, published } = around
const log = createLog('missing', 'error')

/** Names of the assets that were created since the last look, without their folders. */
let created: string[] = []
/** How many steps that compute have run since the last look. */
let computed = 0
/** How many more reads of parts have to fail. */
let failing = 0

function watched(store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver {
  if (which === 'scratch') {
    return {
      ...store,
      async read(name, options) {
        if (failing > 0 && /\/parts\//.test(name)) {
          failing--
          throw new Error('the store does not answer')
        }
        return store.read(name, options)
      },
    }
  }
  return {
    ...store,
    async create(name, body, options) {
      const outcome = await store.create(name, body, options)
      if (outcome === 'created') created.push(name.replace(/^.*\//, ''))
      return outcome
    },
  }
}

async function make(
  track: string,
  assets: readonly string[],
  derivatives = config.derivatives,
) {
  created = []
  computed = 0
  const request_id = randomUUID()
  const answer = () => published.get(track)?.find((said) => said.request_id === request_id)
  const consumers = await allConsumers({
    ...{ config: { ...config, derivatives }, bus, database, log, wrap: watched },
    async beforeAck(step) {
      if (step === 'analyze' || step === 'encode') computed++
    },
  })
  await around.submit({ request_id, asset_guid: track, derivative_assets: [...assets] })
  await until(() => answer() !== undefined)
  await consumers.close()
  return answer()
}

const NEWER = new URL('../support/derivatives-newer', import.meta.url).pathname
const STREAMED = new URL('../support/derivatives-streamed', import.meta.url).pathname
// A master that has to be converted, so that an audio step would read and write scratch as well.
await around.master(
  'track',
  wav(club(3 * 48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 }),
)

/** The bytes that the steps of a track's jobs have read so far, of the master and of its converted parts. */
async function bytesRead(track: string): Promise<number> {
  const { events } = await trackHistory(database, track, { limit: 1000 })
  return events.reduce((sum, event) => sum + (event.bytes_read ?? 0), 0)
}

t.test('events report what is read of a master in place', async (t) => {
  const master = wav(club(2 * 44_100))
  await around.master('in-place', master)
  t.match(await make('in-place', ['echo']), { state: 'done' })
  await until(async () => (await bytesRead('in-place')) > 0)
  t.ok((await bytesRead('in-place')) >= master.length - 44, 'all of its samples')
})

t.test('all that a job asks for is made once', async (t) => {
  t.match(await make('track', ['echo', 'pieces']), { state: 'done' })
  t.same(created.sort(), ['echo@1.json', 'pieces@1.bin', 'pieces@1.txt'])
  t.ok(computed > 0)
})

t.test('a job for what exists does no audio work and makes nothing', async (t) => {
  t.match(await make('track', ['echo', 'pieces']), {
    state: 'done',
    assets: [
      { asset: 'echo', version: 1, state: 'made' },
      { asset: 'pieces', version: 1, state: 'made' },
    ],
  })
  t.same(created, [])
  t.equal(computed, 0, 'no step that computes has run')
})

t.test('one new asset of an old track makes only that one', async (t) => {
  t.match(await make('track', ['echo', 'pieces', 'waveform']), { state: 'done' })
  t.same(created.sort(), ['waveform@1.json', 'waveform@1.png'])
})

t.test('another version of one asset remakes that one alone', async (t) => {
  t.match(await make('track', ['echo', 'pieces', 'waveform'], NEWER), {
    state: 'done',
    assets: [
      { asset: 'echo', version: 2 },
      { asset: 'pieces', version: 1 },
      { asset: 'waveform', version: 1 },
    ],
  })
  t.same(created, ['echo@2.json'])
})

t.test('a master with other bytes has everything made of it again', async (t) => {
  // A track that was never asked for more: a message of an older job that is delivered again makes no other assets.
  await around.master('replaced', wav(club(2 * 44_100)))
  t.match(await make('replaced', ['echo', 'pieces']), { state: 'done' })
  await around.master('replaced', wav(club(3 * 44_100)))
  t.match(await make('replaced', ['echo', 'pieces']), { state: 'done' })
  t.same(created.sort(), ['echo@1.json', 'pieces@1.bin', 'pieces@1.txt'])
})

t.test('a part that cannot be read for a while is no fault of its asset', async (t) => {
  await around.master('shaky', wav(club(3 * 44_100)))
  failing = 2
  t.match(await make('shaky', ['pieces']), { state: 'done' })
  t.same(created.sort(), ['pieces@1.bin', 'pieces@1.txt'])
  t.equal(failing, 0, 'it was tried')
})

t.test(
  'a file that breaks off, or is shorter than it says, is the fault of its asset',
  async (t) => {
    await around.master('half', wav(club(44_100)))
    const failed = { state: 'failed', code: 'RENDER_FAILED' }
    t.match(await make('half', ['breaks-off', 'short', 'waveform'], STREAMED), {
      state: 'partial',
      assets: [
        { ...failed, asset: 'breaks-off', sentence: /@1: .*this plug-in breaks off/ },
        { ...failed, asset: 'short', sentence: /a file of 4 bytes, promised were 10/ },
        { asset: 'waveform', state: 'made' },
      ],
    })
    t.same(created.sort(), ['waveform@1.json', 'waveform@1.png'], 'nothing is left of it')
  },
)
