import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { isJoinedName } from '#shared/assets/make/unit-work.ts'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { Bus, Outgoing } from '#shared/bus/bus.ts'
import type { ObjectName, Revision } from '#shared/contracts/names.ts'
import { OwnCores } from '#shared/frame/cores.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { type Counts, counting } from '#shared/store/counting.ts'
import type { StoreDriver } from '#shared/store/driver/driver.ts'
import { locate, openStore } from '#shared/store/open.ts'
import { inMemoryMarkers } from '../../../services/dispatch/pod/in-memory-markers.ts'
import { inProcessBus } from '../../../services/dispatch/pod/in-process-bus.ts'
import { pinnedReadCache } from '../../../services/dispatch/pod/pinned-read-cache.ts'
import { encodeStep } from '../../../services/encode/step.ts'
import { stageStep } from '../../../services/stage/step.ts'
import { wav } from '../../support/audio.ts'
import { club } from '../../support/synth.ts'
import { accepted } from './fleet.ts'

const folder = await mkdtemp(join(tmpdir(), 'trackchain-own-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const never = new AbortController().signal
const storeAt = (name: string) => openStore(`file://${join(folder, name)}`)

t.test('what a pod sent itself and never did, the next pod does', async (t) => {
  await writeFile(join(folder, 'track.wav'), wav(club(3 * 44_100)))
  const derivatives = new URL('../../support/derivatives', import.meta.url).pathname
  const registry = await loadRegistry(derivatives)
  const [assets, scratch] = [storeAt('assets'), storeAt('scratch')]
  const sent: string[] = []
  const outer = {
    async publish(topic: string, _: Outgoing) {
      sent.push(topic)
      return 'id'
    },
  } as Bus
  const message = {
    ...accepted('track', ['pieces']),
    masters: [`file://${join(folder, 'track.wav')}`],
  }
  const limits = { max_hours: 1, max_channels: 2, max_rate_hz: 48_000, strict: false }
  const config = { master_wait_seconds: 0, target_ms: 120, routes: {}, ...limits }
  const at = (uri: string) => locate(uri)

  /** A pod, as pod/main.ts composes it. It is stopped when the marker of encode is left, the join not begun. */
  async function pod(isStoppedAtMarker: boolean) {
    const stopping = new AbortController()
    const own = inProcessBus(outer, ['stage', 'encode'])
    const markers = inMemoryMarkers(scratch)
    const watched: StoreDriver = {
      ...markers,
      async create(name, body, options) {
        if (isStoppedAtMarker && isJoinedName(name)) stopping.abort()
        return markers.create(name, body, options)
      },
    }
    const cores = new OwnCores(1)
    const deps = {
      ...{ bus: own.bus, events: { report: async () => {} }, assets, scratch: watched },
      ...{ log: createLog('own', 'fatal'), metrics: createMetrics('own') },
      ...{ cores, stopping: never, aborting: never, breaker: { isSuspect: async () => false } },
    }
    const stage = stageStep({ registry, locate: at, uploads: assets, config })
    const encode = encodeStep({ registry, locate: at })
    const handlers = new Map([
      ['stage', delivering(stage, deps)],
      ['encode', delivering(encode, deps)],
    ])
    const data = Buffer.from(JSON.stringify(message))
    const delivery = { id: '1', attempt: 1, attributes: {}, data, published: new Date() }
    const first = { topic: 'stage', delivery }
    return own.follow(handlers, first, { atOnce: 1, stopping: stopping.signal })
  }

  t.equal(await pod(true), 'given back')
  t.strictSame(sent, [])
  t.equal(await pod(false), 'done')
  t.strictSame(sent, ['publish'])
})

t.test('what is given back is tried again here, for a while', async (t) => {
  const attempts: number[] = []
  const own = inProcessBus({} as Bus, ['stage'])
  const delivery = {
    ...{ id: '1', attempt: 3, attributes: {}, data: Buffer.from(''), published: new Date() },
  }
  const follow = (succeedsAt: number) =>
    own.follow(
      new Map([
        [
          'stage',
          async ({ attempt }: { attempt: number }) => {
            attempts.push(attempt)
            return attempts.length < succeedsAt ? 'nack' : 'ack'
          },
        ],
      ]),
      { topic: 'stage', delivery },
      { atOnce: 1, stopping: new AbortController().signal, patienceMs: 600 },
    )
  t.equal(await follow(2), 'done')
  t.strictSame(attempts, [3, 4])
  attempts.length = 0
  t.equal(await follow(100), 'given back')
})

t.test('a master is fetched once, whichever step reads which range of it', async (t) => {
  const bytes = randomBytes(11_000_000)
  const store = storeAt('masters')
  const name = 'long.wav' as ObjectName
  await store.create(name, bytes, { contentType: 'audio/wav' })
  const { revision = '' as Revision } = (await store.stat(name)) ?? {}
  const counts: Counts = {
    ...{ operations: 0, bytesRead: 0, bytesWritten: 0 },
    ...{ bytesFromCloud: 0, bytesToCloud: 0 },
  }
  const once = pinnedReadCache()
  const fetched = () => once(counting(store, counts))
  const ranges = [
    [0, 10],
    [44, 5_000_000],
    [4_194_300, 4_194_310],
    [9_000_000, bytes.length],
    [bytes.length - 1, bytes.length + 100],
    [0, bytes.length],
  ] as const
  await Promise.all(
    ranges.map(async ([start, end]) => {
      const read = await buffer(await fetched().read(name, { start, end, revision }))
      t.ok(read.equals(bytes.subarray(start, end)), `${start} to ${end}`)
    }),
  )
  t.ok((await buffer(await fetched().read(name, { revision }))).equals(bytes))
  t.equal(counts.bytesRead, bytes.length)
  await t.rejects(fetched().read(name, { revision: 'f0' as Revision }), {
    code: 'changed',
  })
  const stop = AbortSignal.abort(new Error('stopped'))
  await t.rejects(fetched().read('other' as ObjectName, { revision, signal: stop }))
})
