import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { wav } from '../support/audio.ts'
import { filesBelow, surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club } from '../support/synth.ts'

t.test('a site of its own: its audio stays there, and only results cross', async (t) => {
  const elsewhere = t.testdir()
  const at = (name: string) => `file://${join(elsewhere, name)}`
  const around = await surroundings({
    target_ms: 200,
    routes: {
      cloud: {
        templates: ['file:///nowhere/{asset_guid}.wav'],
        prefixes: [],
        core_slowdown: 1,
      },
      'onprem-a': {
        templates: [`${at('masters')}/{asset_guid}.wav`],
        prefixes: [],
        core_slowdown: 2,
      },
    },
  })
  const { bus, database, config, letters, published } = around
  for (const name of ['masters', 'scratch']) await mkdir(join(elsewhere, name))
  const log = createLog('routes', 'fatal')

  /** Counts the bytes that a site has read and written, by store. */
  function metered() {
    const bytes = { masters: 0, scratch: 0, assets: 0 }
    const meter = (store: StoreDriver, of: keyof typeof bytes): StoreDriver => {
      const { readInto: _, ...rest } = store
      const counted = async function* (pieces: AsyncIterable<Uint8Array>) {
        for await (const piece of pieces) {
          bytes[of] += piece.byteLength
          yield piece
        }
      }
      return {
        ...rest,
        async read(name, options) {
          const stream = await store.read(name, options)
          stream.on('data', (piece: Uint8Array) => {
            bytes[of] += piece.byteLength
          })
          return stream
        },
        create: (name, body, options) => {
          const pieces = body instanceof Uint8Array ? [body] : body
          return store.create(name, counted(pieces as AsyncIterable<Uint8Array>), options)
        },
      }
    }
    return {
      bytes,
      wrap: meter,
      wrapMasters: (store: StoreDriver) => meter(store, 'masters'),
    }
  }
  const cloud = metered()
  const site = metered()
  const common = { bus, database, log }
  const consumers = await Promise.all([
    allConsumers({ ...common, config, ...cloud }),
    allConsumers({
      ...{ ...common, ...site },
      config: { ...config, route: 'onprem-a', scratch: at('scratch') },
      only: ['stage-onprem-a', 'analyze-onprem-a', 'encode-onprem-a'],
    }),
  ])
  t.teardown(async () => {
    for (const { close } of consumers) await close()
    await around.close()
  })

  // One master is read in place. The other is converted, so that something is written to scratch.
  const masters = {
    plain: wav(club(3 * 44_100)),
    staged: wav(club(3 * 48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 }),
  }
  for (const [track, master] of Object.entries(masters)) {
    await writeFile(join(elsewhere, 'masters', `${track}.wav`), master)
    await around.submit({
      ...{ asset_guid: track, site: 'onprem-a' },
      derivative_assets: ['echo', 'pieces'],
    })
  }
  await until(() => published.size === 2, 150_000)
  for (const track of Object.keys(masters)) {
    t.match(published.get(track), [{ state: 'done' }])
    const made = Object.keys(await filesBelow(join(around.folder, 'assets', 'assets', track)))
    t.ok(made.length >= 2, `its assets are where all are: ${made}`)
  }
  t.same(cloud.bytes, { masters: 0, scratch: 0, assets: 0 }, 'the cloud has touched no audio')
  t.ok(site.bytes.masters >= masters.plain.length / 2, `${site.bytes.masters} bytes of masters`)
  t.ok(site.bytes.scratch > masters.staged.length / 2, `${site.bytes.scratch} of scratch`)
  t.same(await filesBelow(join(around.folder, 'scratch')), {}, 'nor has its scratch')
  t.same(letters, [])

  await around.submit({
    ...{ asset_guid: 'plain', site: 'onprem-b' },
    derivative_assets: ['echo'],
  })
  await until(() => letters.length === 1, 60_000)
  t.match(letters, [{ attributes: { dead_letter_code: 'UNKNOWN_SITE' } }])
  t.match(letters[0]?.attributes.dead_letter_reason, /onprem-b.*cloud.*onprem-a/)
})
