import t from 'tap'
import type { Bus } from '#shared/bus/bus.ts'
import { trackHistory } from '#shared/catalogue/events/track-history.ts'
import { jobId, type ObjectName } from '#shared/contracts/names.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { coded, flac, wav } from '../support/audio.ts'
import { surroundings, until } from '../support/chain.ts'
import { allConsumers } from '../support/one-process.ts'
import { club, noise, silence } from '../support/synth.ts'

// Small steps: a minute of audio is staged by several.
const around = await surroundings({ target_ms: 320 })
const { database, config, published } = around
const log = createLog('staging', 'fatal')
t.teardown(() => around.close())

/** How often each part was created, by its name in scratch; and the messages to the topic of stage. */
const created = new Map<string, number>()
const toStage: { data: Buffer; attributes: Readonly<Record<string, string>> }[] = []
let beforePart: ((name: string) => void) | undefined

const wrap = (store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver => ({
  ...store,
  async create(name, body, options) {
    if (which === 'scratch') beforePart?.(name)
    const outcome = await store.create(name, body, options)
    if (which === 'scratch' && name.includes('/wav/')) {
      created.set(name, (created.get(name) ?? 0) + 1)
    }
    return outcome
  },
})
const bus: Bus = {
  ...around.bus,
  publish(topic, message) {
    if (topic === 'stage') toStage.push(message)
    return around.bus.publish(topic, message)
  },
}
let consumers = await allConsumers({ config, bus, database, log, wrap })
t.teardown(() => consumers.close())

const requestId = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const scratchParts = async () => {
  const names: string[] = []
  for await (const { name } of around.store('scratch').list('')) names.push(name)
  return names.filter((name) => /\/(wav|parts)\//.test(name))
}
const stagingOf = (track: string) =>
  toStage.filter(({ data }) => data.includes('"staging"') && data.includes(`"${track}"`))

async function through(n: number, track: string, master: Buffer, assets = ['echo']) {
  created.clear()
  toStage.length = 0
  await around.master(track, master)
  await around.submit({
    request_id: requestId(n),
    asset_guid: track,
    derivative_assets: assets,
  })
  await until(() => published.has(track), 60_000)
  return published.get(track)?.[0]
}

/** A minute, mono, 8 bits: four steps of up to 17 s, and quickly made. */
const long = wav([noise(60 * 22_050, { amplitude: 0.4 })], { rate: 22_050, bits: 8 })
const THIRD = /\/wav\/0*1499400-/
/** The digest of the samples in the result of `echo`. */
const echoOf = (message: Awaited<ReturnType<typeof through>>) =>
  message?.assets.map((asset) => (asset.state === 'made' ? asset.result : asset.code))
let undisturbed: unknown

t.test('a long master is staged by several steps, each part once', async (t) => {
  const message = await through(1, 'long', long)
  t.match(message, { state: 'done', assets: [{ asset: 'echo', state: 'made' }] })
  undisturbed = echoOf(message)
  t.ok(stagingOf('long').length > 1, `${stagingOf('long').length} steps`)
  t.equal(created.size, 4)
  t.ok([...created.values()].every((times) => times === 1))
  await until(async () => (await scratchParts()).length === 0)
})

t.test('one that fits a step is staged by the first one', async (t) => {
  const master = wav(club(3 * 48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 })
  t.match(await through(2, 'short', master), { state: 'done' })
  t.equal(stagingOf('short').length, 0)
})

t.test('a store that fails under way costs one part, not the others', async (t) => {
  let faults = 3
  beforePart = (name) => {
    if (THIRD.test(name) || faults === 0) return
    if (name.includes('/wav/')) {
      faults--
      throw new Error('the disk is away for a moment')
    }
  }
  const message = await through(3, 'disturbed', long)
  beforePart = undefined
  t.equal(faults, 0)
  t.same(echoOf(message), undisturbed)
  t.ok(
    [...created.values()].every((times) => times === 1),
    'no part was made twice',
  )
  await until(async () => (await scratchParts()).length === 0)
})

t.test('copies of its steps that come after the end leave nothing in scratch', async (t) => {
  await through(4, 'late', long)
  const late = [...stagingOf('late')]
  await until(async () => (await scratchParts()).length === 0)
  created.clear()
  for (const { data, attributes } of late)
    await around.bus.publish('stage', { data, attributes })
  await until(async () => {
    const { events } = await trackHistory(database, 'late', { limit: 100 })
    return events.filter(({ step }) => step === 'stage').length >= 1 + 2 * late.length
  })
  t.equal(created.size, 0)
  t.same(await scratchParts(), [])
  t.equal(published.get('late')?.length, 1)
})

t.test('a stage that ends under way is taken up where it stood', async (t) => {
  created.clear()
  toStage.length = 0
  await around.master('resumed', long)
  const first = Promise.withResolvers<void>()
  beforePart = (name) => {
    if (created.size >= 2) first.resolve()
    else return
    if (name.includes('/wav/')) throw new Error('and then it was gone')
  }
  const job = { request_id: requestId(5), asset_guid: 'resumed', derivative_assets: ['echo'] }
  await around.submit(job)
  await first.promise
  await consumers.close()
  t.ok(created.size >= 2)
  beforePart = undefined
  consumers = await allConsumers({ config, bus, database, log, wrap })
  await until(() => published.has('resumed'), 60_000)
  t.same(echoOf(published.get('resumed')?.[0]), undisturbed)
  t.ok(
    [...created.values()].every((times) => times === 1),
    'no part was made twice',
  )
})

t.test(
  'a step that comes again where a crash has lost the marker leaves nothing',
  async (t) => {
    t.match(await through(30, 'unmarked', long, ['echo', 'broken']), { state: 'partial' })
    await until(async () => (await scratchParts()).length === 0)
    const scratch = around.store('scratch')
    const job = jobId(requestId(30), 'unmarked')
    const markers: ObjectName[] = []
    for await (const { name } of scratch.list(`cloud/${job}/`)) {
      if (/\/joined-stage/.test(name)) markers.push(name)
    }
    t.equal(markers.length, 1)
    for (const marker of markers) await scratch.remove(marker)
    const [again] = stagingOf('unmarked')
    if (again === undefined) throw new Error('nothing was staged in steps')
    created.clear()
    await around.bus.publish('stage', again)
    const steps = async () => {
      const { events } = await trackHistory(database, 'unmarked', { limit: 1000 })
      return events.filter(({ step }) => step === 'stage').length
    }
    const before = await steps()
    await until(async () => (await steps()) > before)
    t.equal(created.size, 0, 'no part is made for a run that is over')
    await until(async () => (await scratchParts()).length === 0)
    t.equal(published.get('unmarked')?.length, 1, 'announced once')
  },
)

t.test('compressed masters go through, in steps where they are long', async (t) => {
  const music = wav(club(10 * 44_100))
  for (const [n, track, master] of [
    [10, 'mp3', await coded('a.mp3', music)],
    [11, 'ogg', await coded('a.ogg', music, ['-c:a', 'libvorbis'])],
    [12, 'm4a', await coded('a.m4a', music)],
  ] as const) {
    t.match(await through(n, track, master), { state: 'done' }, track)
  }
  const hiss = wav([noise(2.5 * 60 * 44_100, { amplitude: 0.3 })])
  t.match(await through(13, 'long-mp3', await coded('a.mp3', hiss)), { state: 'done' })
  t.ok(stagingOf('long-mp3').length >= 1, `${stagingOf('long-mp3').length} more steps`)
  t.equal(created.size, 3)
  t.ok([...created.values()].every((times) => times === 1))
  await until(async () => (await scratchParts()).length === 0)
})

t.test(
  'a master that is damaged in one range fails as a whole, and leaves nothing',
  async (t) => {
    const master = await flac(wav([noise(60 * 44_100, { amplitude: 0.3 })]))
    const damage = Math.floor(master.length * 0.6)
    master.fill(0x55, damage, damage + 20_000)
    const message = await through(20, 'damaged', master)
    t.match(message, { state: 'failed', assets: [{ code: 'MASTER_UNREADABLE' }] })
    t.ok(stagingOf('damaged').length > 1)
    await until(async () => (await scratchParts()).length === 0)
    t.equal(published.get('damaged')?.length, 1)
  },
)

t.test(
  'what a step has noticed is reported although it ended before it could do so',
  async (t) => {
    const sound = await coded('a.mp3', wav([...club(3 * 44_100)]), ['-b:a', '64k'])
    const master = Buffer.from(sound)
    master.fill(0x5a, sound.length >> 1, (sound.length >> 1) + 1500)
    let reports = 0
    beforePart = (name) => {
      if (name.includes('/found/stream') && reports++ === 0)
        throw new Error('the store is away')
    }
    const message = await through(78, 'noticed', master)
    beforePart = undefined
    t.equal(reports, 2, 'the last part was there, and its stream was decoded once more')
    t.match(message, { state: 'done', warnings: [{ code: 'DAMAGED' }] })
  },
)

t.test('more than an hour of silence in a small file is refused before any work', async (t) => {
  const dataSize = 61 * 60 * 8000 * 2
  const header = wav([silence(0)], { rate: 8000, dataSize })
  const endless = Buffer.concat([header, Buffer.alloc(dataSize)])
  const master = await coded('endless.m4a', endless, ['-b:a', '8k'])
  const message = await through(21, 'endless', master)
  t.match(message, {
    assets: [{ code: 'TOO_LONG_TO_STAGE', sentence: /of 61\.0 min; the limit is \d+ min/ }],
  })
  const job = jobId(requestId(21), 'endless')
  t.same(
    [...created.keys()].filter((name) => name.includes(job)),
    [],
  )
  // The steps of the damaged master that were running when its run failed have ended by now, too.
  await until(async () => (await scratchParts()).length === 0)
})
