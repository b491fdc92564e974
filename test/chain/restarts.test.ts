import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '#shared/log.ts'
import type { StoreDriver } from '#shared/store/driver.ts'
import { club, wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'

const around = await surroundings({ target_ms: 200 })
const { bus, catalogue, config, folder, published } = around
t.teardown(() => around.close())

/** What is done, once, when something is first written to the assets. */
let atFirstAsset: (() => Promise<void>) | undefined
const wrap = (store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver => ({
  ...store,
  async create(name, body, options) {
    const created = await store.create(name, body, options)
    const act = which === 'assets' ? atFirstAsset : undefined
    if (act !== undefined) atFirstAsset = undefined
    await act?.()
    return created
  },
})
const log = createLog('restarts', 'fatal')
const consumers = await allConsumers({ config, bus, catalogue, log, wrap })
t.teardown(() => consumers.close())

const staged = (bpm: number) =>
  wav(club(3 * 48_000, { rate: 48_000, bpm }), { rate: 48_000, bits: 24 })
const conformant = (bpm: number) => wav(club(3 * 44_100, { bpm }))
const wanted = ['echo', 'pieces', 'broken']
const requestId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

for (const { n, what, make } of [
  { n: 0, what: 'read in place', make: conformant },
  { n: 1, what: 'staged', make: staged },
]) {
  t.test(
    `a master that is ${what} and replaced under way: the assets are of the new one`,
    async (t) => {
      const [track, reference] = [`swapped-${n}`, `plain-${n}`]
      await around.master(reference, make(140))
      await around.submit({
        request_id: requestId(n),
        asset_guid: reference,
        derivative_assets: wanted,
      })
      await until(() => published.has(reference))

      const place = join(folder, 'masters', `${track}.wav`)
      await around.master(track, make(100))
      atFirstAsset = async () => {
        await writeFile(`${place}.new`, make(140))
        await rename(`${place}.new`, place)
        if (what === 'staged') {
          // What was staged is complete: the replacement shows when the job is asked for again.
          await around.submit({
            request_id: requestId(10 + n),
            asset_guid: track,
            derivative_assets: wanted,
          })
        }
      }
      await around.submit({
        request_id: requestId(10 + n),
        asset_guid: track,
        derivative_assets: wanted,
      })
      await until(async () => {
        const row = await catalogue.track(track)
        const expected = await catalogue.track(reference)
        const echo = (status: typeof row) => {
          const found = status?.assets.find(({ asset }) => asset === 'echo')
          return found?.state === 'made' ? JSON.stringify(found.result) : undefined
        }
        return echo(row) !== undefined && echo(row) === echo(expected)
      }, 40_000)
      await until(async () => {
        const [status] = await catalogue.jobsOfRequest(requestId(10 + n))
        return status?.state === 'partial'
      })
      t.ok(published.has(track))
    },
  )
}

t.test(
  'scratch that goes away under way: the job goes to ingest again, and ends',
  async (t) => {
    await around.master('swept', staged(120))
    const scratch = wrap(around.store('scratch'), 'scratch')
    atFirstAsset = () => scratch.removeAll('cloud/')
    await around.submit({
      request_id: requestId(20),
      asset_guid: 'swept',
      derivative_assets: wanted,
    })
    await until(() => published.has('swept'), 40_000)
    t.match(published.get('swept'), [{ state: 'partial' }])
    t.equal(published.get('swept')?.length, 1)
  },
)
