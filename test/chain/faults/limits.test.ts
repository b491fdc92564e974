import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { club } from '../../support/synth.ts'

const around = await surroundings()
const { bus, database, config, letters, published } = around
const log = createLog('limits', 'fatal')
const consumers = await allConsumers({ config, bus, database, log, hardLimitMs: 1000 })
t.teardown(async () => {
  await consumers.close()
  await around.close()
})

t.test('an asset that never ends is given up alone: the others are published', async (t) => {
  await around.master('stuck', wav(club(44_100)))
  await around.submit({ asset_guid: 'stuck', derivative_assets: ['echo', 'hangs', 'pieces'] })
  await until(() => published.has('stuck'), 40_000)
  t.match(published.get('stuck'), [
    {
      state: 'partial',
      assets: [
        { asset: 'echo', state: 'made' },
        { asset: 'hangs', state: 'failed', code: 'STANDS_STILL', sentence: /hard limit/ },
        { asset: 'pieces', state: 'made' },
      ],
    },
  ])
  t.match(
    letters.map(({ body }) => JSON.parse(body).derivative_assets),
    [['hangs']],
  )
})

t.test('the places of what hung are free again', async (t) => {
  for (const track of ['after-1', 'after-2', 'after-3', 'after-4', 'after-5']) {
    await around.master(track, wav(club(44_100)))
    await around.submit({ asset_guid: track, derivative_assets: ['echo'] })
  }
  await until(() => published.has('after-5'))
  t.match(published.get('after-5'), [{ state: 'done' }])
})
