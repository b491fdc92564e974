import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { wav } from '../../support/audio.ts'
import { surroundings, until } from '../../support/chain.ts'
import { KubeApi } from '../../support/fakes/kube-api.ts'
import { Kubelet } from '../../support/fakes/kubelet.ts'
import { allConsumers } from '../../support/one-process.ts'
import { patient } from '../../support/patience.ts'
import { startDispatcher } from '../../support/processes/dispatch.ts'
import { club } from '../../support/synth.ts'

// The dispatcher, and each pod, as a process of its own.
t.setTimeout(patient(3_600_000))

/** Number of tracks, and of pods at once. Set them to 500 and 20 for the full test. */
const TRACKS = Number(process.env.TRACKS ?? 3)
const MAX_PODS = Number(process.env.MAX_PODS ?? 2)
const LONG = 280_000 + TRACKS * 5_000

const around = await surroundings({ target_ms: 400 })
const { bus, database, config, published } = around
t.teardown(() => around.close())
const kubelet = new Kubelet()
const api = new KubeApi(kubelet)
await api.start()
t.teardown(() => api.close())

const log = createLog('dispatch', 'fatal')
const wanted = ['echo', 'pieces', 'broken']
const MASTERS = [
  wav(club(3 * 44_100)),
  wav(club(3 * 48_000, { rate: 48_000 }), { rate: 48_000, bits: 24 }),
]
let requests = 0
const requestIds = new Map<string, string>()

async function submit(track: string, kind: number) {
  const id = `00000000-0000-4000-8000-${String(++requests).padStart(12, '0')}`
  requestIds.set(track, id)
  await around.master(track, MASTERS[kind] as Buffer)
  await around.submit({ request_id: id, asset_guid: track, derivative_assets: wanted })
}
const outcome = (track: string) => around.outcome(track, requestIds.get(track) ?? '')

/** What the chain makes of the masters. */
const expected: unknown[] = []
/** The first tests share a dispatcher; the last of them ends it. */
let dispatcher: Awaited<ReturnType<typeof startDispatcher>>
t.before(async () => {
  const chain = await allConsumers({ config, bus, database, log })
  for (const kind of MASTERS.keys()) await submit(`chain-${kind}`, kind)
  for (const kind of MASTERS.keys()) {
    await until(() => published.has(`chain-${kind}`), LONG)
    expected.push(await outcome(`chain-${kind}`))
  }
  await chain.close()
  dispatcher = await startDispatcher(around, api, { max_pods: MAX_PODS })
})
t.teardown(() => dispatcher.kill('SIGKILL'))

/** Starts what a route needs beside its steps, or also its stage, analyze and encode. */
async function outside(t: Tap, only = ['ingest', 'publish', 'events']) {
  const consumers = await allConsumers({ config, bus, database, log, only })
  t.teardown(() => consumers.close())
}
type Tap = { teardown(act: () => unknown): void }

async function through(count: number, name: string, meanwhile: () => Promise<void>) {
  const tracks = Array.from({ length: count }, (_, i) => `${name}-${i}`)
  await Promise.all(tracks.map((track, i) => submit(track, i % MASTERS.length)))
  await meanwhile()
  await until(() => tracks.every((track) => published.has(track)), LONG)
  await until(() => api.pods.length === 0, LONG)
  const outcomes = await Promise.all(tracks.map(outcome))
  return outcomes.map((made, i) => ({ made, expected: expected[i % MASTERS.length] }))
}

t.test('the chain and the dispatcher make the same; API and dispatcher killed', async (t) => {
  await outside(t)
  const seen = await through(TRACKS, 'killed', async () => {
    await until(() => api.live > 0, LONG)
    await api.kill()
    await sleep(1000)
    await api.start()
    await until(() => [...published.keys()].some((track) => track.startsWith('killed')), LONG)
    await until(() => api.live > 0, LONG)
    await dispatcher.kill('SIGKILL')
    dispatcher = await startDispatcher(around, api, { max_pods: MAX_PODS })
  })
  for (const { made, expected } of seen) t.strictSame(made, expected)
  t.comment(`${TRACKS} tracks: ${api.most} pods at once, ${api.writes.length} writes`)
  // What was under way when the API died is asked again.
  t.ok(api.writes.length <= 3 * TRACKS + MAX_PODS, `${api.writes.length} writes`)
  t.ok(api.most <= MAX_PODS, `${api.most} at once`)
})

t.test('pods that are killed: the next one goes on, and the outcome is the same', async (t) => {
  await outside(t)
  const evicted = new Set<string>()
  const seen = await through(2, 'evicted', async () => {
    while (evicted.size < 2) {
      for (const { metadata, status } of api.pods) {
        if (status.phase !== 'Running' || evicted.has(metadata.name)) continue
        evicted.add(metadata.name)
        kubelet.evict(metadata.name)
      }
      await sleep(50)
    }
  })
  for (const { made, expected } of seen) t.strictSame(made, expected)
  await dispatcher.kill('SIGTERM')
  t.equal(dispatcher.child.exitCode, 0)
})

t.test('a route that runs both stage and the dispatcher: each track once', async (t) => {
  await outside(t)
  const [one, other] = await Promise.all([
    startDispatcher(around, api, { max_pods: 1 }),
    startDispatcher(around, api, { max_pods: 1 }),
  ])
  t.teardown(() => Promise.all([one.kill('SIGTERM'), other.kill('SIGTERM')]))
  const seen = await through(3, 'both', async () => {
    // Each of them holds at most one track; the steps of the chain take the others.
    await until(() => api.live > 0, LONG)
    await outside(t, ['stage', 'analyze', 'encode'])
  })
  for (const { made, expected } of seen) t.strictSame(made, expected)
})
