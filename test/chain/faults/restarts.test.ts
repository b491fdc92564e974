import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { findTrack } from '#shared/catalogue/tracks/read-tracks.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { club } from '../../support/synth.ts'

const around = await surroundings({ target_ms: 200 })
const { bus, database, config, folder, published } = around
t.teardown(() => around.close())

/** Runs once, at the first write to the assets. */
let atFirstAsset: (() => Promise<void>) | undefined
/** Runs once, at the first read of converted samples. */
let atFirstSamples: (() => Promise<void>) | undefined
const wrap = (store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver => ({
  ...store,
  async create(name, body, options) {
    const created = await store.create(name, body, options)
    const act = which === 'assets' ? atFirstAsset : undefined
    if (act !== undefined) atFirstAsset = undefined
    await act?.()
    return created
  },
  async readInto(name, bytes, options) {
    const act = name.includes('/wav/') ? atFirstSamples : undefined
    if (act !== undefined) atFirstSamples = undefined
    await act?.()
    await store.readInto?.(name, bytes, options)
  },
})
const log = createLog('restarts', 'fatal')
/** Whether the next message to analyze is delivered twice. */
let isCopied = false
const copying: typeof bus = {
  ...bus,
  async publish(topic, message) {
    if (topic === 'analyze' && isCopied) {
      isCopied = false
      await bus.publish(topic, message)
    }
    return bus.publish(topic, message)
  },
}
const consumers = await allConsumers({ config, bus: copying, database, log, wrap })
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
          // The conversion is complete, so the replacement shows only when the job is submitted again.
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
        const row = await findTrack(database, track)
        const expected = await findTrack(database, reference)
        const echo = (status: typeof row) => {
          const found = status?.assets.find(({ asset }) => asset === 'echo')
          return found?.state === 'made' ? JSON.stringify(found.result) : undefined
        }
        return echo(row) !== undefined && echo(row) === echo(expected)
      }, 40_000)
      await until(async () => {
        const [status] = await jobsOfRequest(database, requestId(10 + n))
        return status?.state === 'partial'
      })
      // Rows are written before the announcement.
      await until(() => published.has(track))
      t.equal(published.get(track)?.at(-1)?.state, 'partial')
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

t.test(
  'a copy of a step that is overtaken by the end of its run: nothing begins anew',
  async (t) => {
    await around.master('overtaken', staged(110))
    const areStaged = async () => {
      for await (const { name } of around.store('scratch').list('cloud/')) {
        if (name.includes('/wav/')) return true
      }
      return false
    }
    isCopied = true
    let isHeld = false
    atFirstSamples = async () => {
      isHeld = true
      await until(async () => !(await areStaged()), 40_000)
    }
    const request_id = requestId(30)
    const derivative_assets = ['echo', 'pieces']
    await around.submit({ request_id, asset_guid: 'overtaken', derivative_assets })
    await until(() => published.has('overtaken'), 40_000)
    t.ok(isHeld)
    const history = async () =>
      (await trackHistory(database, 'overtaken', { limit: 1000 })).events
    await until(
      async () => (await history()).filter(({ step }) => step === 'analyze').length > 1,
    )
    const verdicts = (await history()).map(({ step, verdict }) => `${step} ${verdict}`)
    t.notOk(verdicts.includes('analyze restarted'), verdicts.join(', '))
    t.equal(published.get('overtaken')?.length, 1)
  },
)
