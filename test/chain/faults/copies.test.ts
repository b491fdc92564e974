import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { club } from '../../support/synth.ts'

const around = await surroundings({ target_ms: 200 })
t.teardown(() => around.close())
const { bus, database, config, published } = around

const copies = new Set<Promise<string>>()

/** Delivers each message three times, at different moments. */
const copying: Bus = {
  ...bus,
  async publish(topic, message) {
    const id = await bus.publish(topic, message)
    if (topic === 'published' || topic === 'dead-letter') return id
    for (const wait of [Math.random() * 400, Math.random() * 1500]) {
      const copied = sleep(wait).then(() => bus.publish(topic, message))
      copies.add(copied)
      void copied.then(() => copies.delete(copied))
    }
    return id
  },
}

const log = createLog('copies', 'error')
// A master that has to be converted, so that late copies of a step find their samples removed.
const master = wav(club(3 * 48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 })
const wanted = { derivative_assets: ['echo', 'pieces', 'broken'] }
const requestId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`

t.test(
  'a job posted three times, every message in three copies: one set of everything',
  async (t) => {
    const plain = await allConsumers({ config, bus, database, log })
    await around.master('plain', master)
    await around.submit({ request_id: requestId(1), asset_guid: 'plain', ...wanted })
    await until(() => published.has('plain'))
    await plain.close()

    const copied = await allConsumers({ config, bus: copying, database, log })
    const tracks = ['copied-1', 'copied-2']
    for (const track of tracks) await around.master(track, master)
    for (let copy = 0; copy < 3; copy++) {
      for (const [n, track] of tracks.entries()) {
        await around.submit({ request_id: requestId(10 + n), asset_guid: track, ...wanted })
      }
      await sleep(300)
    }
    await until(() => tracks.every((track) => published.has(track)), 40_000)
    await until(async () => copies.size === 0 && (await around.isIdle()))
    await copied.close()
    await Promise.all(copies)

    const expected = await around.outcome('plain', requestId(1))
    for (const [n, track] of tracks.entries()) {
      t.same(await around.outcome(track, requestId(10 + n)), expected, track)
      t.equal(published.get(track)?.length, 1, 'announced once')
      const letters = around.letters.filter(({ body }) => body.includes(track))
      t.equal(letters.length, 1, 'dead-lettered once')
    }
  },
)
