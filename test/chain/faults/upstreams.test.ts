import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { pubsubBus } from '#shared/bus/pubsub.ts'
import type { ObjectName } from '#shared/contracts/names.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { type Fault, startGcsServer } from '../../../tools/fakes/gcs-server.ts'
import { ownPostgres } from '../../../tools/local/postgres/temporary.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { blackHole } from '../../support/fakes/black-hole.ts'
import { allConsumers } from '../../support/one-process.ts'
import { patient } from '../../support/patience.ts'
import { startService } from '../../support/processes/service.ts'
import { club } from '../../support/synth.ts'

t.setTimeout(patient(3_600_000))

/** Tracks for each fault. Set TRACKS=20 and AWAY_SECONDS=60 for the full test. */
const TRACKS = Number(process.env.TRACKS ?? 3)
/** How long an upstream stays down after the chain has noticed it, seconds. */
const AWAY_SECONDS = Number(process.env.AWAY_SECONDS ?? 0)

// Masters and scratch in Cloud Storage, assets in a folder: each phase has one of them fail, or something else.
const storage = await startGcsServer('masters', 'scratch')
const postgres = await ownPostgres()
const around = await surroundings(
  {
    scratch: 'gs://scratch',
    storage: storage.endpoint,
    target_ms: 200,
    routes: {
      cloud: { templates: ['gs://masters/{asset_guid}.wav'], prefixes: [], core_slowdown: 1 },
    },
  },
  { postgres },
)
const { database, config, letters, published } = around
const link = await blackHole(Number(config.pubsub.split(':')[1]))
const options = { projectId: config.project, publishTimeoutMs: 2000, leaseSeconds: 10 }
const linked = pubsubBus({ ...options, endpoint: `127.0.0.1:${link.port}` })

/** Called once, when the next asset has been written. */
let atNextAsset: (() => void) | undefined
/** If set, runs before each operation on the folder of assets, and may fail it. */
let befall: ((isWriting: boolean) => Promise<void>) | undefined

function wrap(store: StoreDriver, which: 'assets' | 'scratch'): StoreDriver {
  if (which === 'scratch') return store
  const { readInto: _, ...rest } = store
  return {
    ...rest,
    async stat(name, options) {
      await befall?.(false)
      return store.stat(name, options)
    },
    async read(name: ObjectName, options) {
      await befall?.(false)
      return store.read(name, options)
    },
    async create(name, body, options) {
      await befall?.(true)
      const created = await store.create(name, body, options)
      atNextAsset?.()
      atNextAsset = undefined
      return created
    },
    async probe(options) {
      await befall?.(true)
      await store.probe?.(options)
    },
  }
}

const { breaker, close } = await allConsumers({
  ...{
    config,
    bus: linked,
    database,
    wrap,
    log: createLog('upstreams', process.env.LOG === '1' ? 'info' : 'fatal'),
  },
  gcs: { apiEndpoint: storage.endpoint, attempts: 2, firstDelayMs: 20, timeoutMs: 1000 },
  silentMs: 3000,
})
t.teardown(async () => {
  await close()
  await linked.close()
  await link.close()
  await around.close()
  await storage.close()
})

// A master that has to be converted, in parts, so that the stores are used as with long tracks.
const master = wav(club(48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 })

interface Phase {
  readonly what: string
  /** The upstream that is reported as down. */
  readonly upstream: RegExp
  begin(): unknown
  end(): unknown
}

const failing = (fault: Fault) => ({
  upstream: /^(masters|scratch): /,
  begin: () => storage.faults.push({ ...fault, times: Number.POSITIVE_INFINITY }),
  end: () => storage.faults.splice(0),
})
const file = (act: (isWriting: boolean) => Promise<void>) => ({
  begin: () => {
    befall = act
  },
  end: () => {
    befall = undefined
  },
})
const fault = (code: string) => Object.assign(new Error(`${code}: for a test`), { code })
const gate = { ...Promise.withResolvers<void>() }

const phases: readonly Phase[] = [
  { what: 'a store that answers 503', ...failing({ status: 503 }) },
  { what: 'a store that answers 429', ...failing({ status: 429 }) },
  { what: 'a store that hangs', ...failing({ hangAfter: 0 }) },
  { what: 'a store that resets connections', ...failing({ resetAfter: 0 }) },
  {
    what: 'a disk that is full',
    upstream: /^assets: ENOSPC/,
    ...file(async (isWriting) => {
      if (isWriting) throw fault('ENOSPC')
    }),
  },
  {
    what: 'an NFS export that is stale',
    upstream: /^assets: ESTALE/,
    ...file(async () => {
      throw fault('ESTALE')
    }),
  },
  {
    what: 'an NFS server that does not answer',
    upstream: /^assets: .*(no answer|not answered)/,
    ...file(() => gate.promise),
    end: () => {
      befall = undefined
      gate.resolve()
    },
  },
  {
    what: 'a database that is down',
    upstream: /^database: /,
    begin: () => postgres.down(),
    end: () => postgres.up(),
  },
  {
    what: 'a link to Pub/Sub that swallows everything',
    upstream: /^Pub\/Sub: /,
    begin: () => link.swallow(),
    end: () => link.release(),
  },
]

for (const [n, { what, upstream, begin, end }] of phases.entries()) {
  t.test(`${what}: pulling is paused, and then all is made, with no dead letter`, async (t) => {
    const tracks = Array.from({ length: TRACKS }, (_, i) => `track-${n}-${i}`)
    for (const track of tracks) storage.put('masters', `${track}.wav`, master)
    const begun = new Promise<void>((resolve) => {
      atNextAsset = async () => {
        await begin()
        resolve()
      }
    })
    for (const asset_guid of tracks) {
      await around.submit({ asset_guid, derivative_assets: ['echo', 'pieces'] })
    }
    await begun
    await until(() => upstream.test(breaker.reason ?? ''), 150_000)
    t.comment(`not ready: ${breaker.reason}`)
    t.notOk(tracks.every((track) => published.has(track)))
    await sleep(AWAY_SECONDS * 1000)
    await end()
    const ended = performance.now()
    await until(() => breaker.reason === undefined, 150_000)
    t.comment(`ready again after ${Math.round(performance.now() - ended)} ms`)
    await until(() => tracks.every((track) => published.has(track)), 150_000)
    t.comment(`all made after ${Math.round(performance.now() - ended)} ms`)
    for (const track of tracks) t.match(published.get(track)?.[0], { state: 'done' })
    t.same(letters, [])
  })
}

t.test('a service says what it waits for, and begins when that is there', async (t) => {
  await postgres.down()
  const { storage: _, ...settings } = config
  const service = startService('publish/main.ts', {
    ...settings,
    health_port: 0,
    scratch: config.assets,
  })
  t.teardown(() => service.child.kill('SIGKILL'))
  const port = async () => {
    await until(() => /"port":\d+/.test(service.said()), 150_000)
    return /"port":(\d+)/.exec(service.said())?.[1]
  }
  const url = `http://127.0.0.1:${await port()}/readyz`
  const look = async () => {
    const response = await fetch(url)
    return `${response.status} ${await response.text()}`
  }
  await until(async () => /^503 not ready: database: /.test(await look()), 150_000)
  await postgres.up()
  await service.ready
  await until(async () => /^200 ready/.test(await look()), 150_000)
  await postgres.down()
  // The failure shows when an event cannot be recorded.
  storage.put('masters', 'late.wav', master)
  await around.submit({ asset_guid: 'late', derivative_assets: ['echo'] })
  await until(async () => /^503 not ready: database: /.test(await look()), 150_000)
  await postgres.up()
  await until(async () => /^200 ready/.test(await look()), 150_000)
  await until(() => published.has('late'), 150_000)
  service.child.kill('SIGTERM')
  t.equal(await service.exited, 0)
})
