import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { eventSink } from '#shared/frame/events.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { openCluster } from '../../../services/dispatch/cluster/cluster.ts'
import { isEnded, podName, podsOf } from '../../../services/dispatch/cluster/pod-spec.ts'
import { Pods } from '../../../services/dispatch/cluster/pods.ts'
import { collectOnce, ENDED_MS, STUCK_MS } from '../../../services/dispatch/collect.ts'
import { MAX_POD_FAILURES } from '../../../services/dispatch/dispatcher.ts'
import { until } from '../../support/chain.ts'
import { lull } from '../../support/patience.ts'
import { accepted, type Fleet, startFleet } from './fleet.ts'

// The dispatcher against the fake of an API server and real Pub/Sub. The pods are stubs that only end: what the
// pods of tracks do is tested with real ones in pods.test.ts.
const LONG = 240_000

const names = (count: number) => Array.from({ length: count }, (_, i) => `track-${i}`)
const created = (fleet: Fleet) =>
  fleet.api.writes.filter((line) => line.startsWith('POST') && line.endsWith('201'))
const doneTracks = (fleet: Fleet) =>
  fleet.events.filter(({ verdict }) => verdict === 'done').map(({ track }) => track)

async function all(fleet: Fleet, tracks: readonly string[]) {
  await until(() => tracks.every((track) => doneTracks(fleet).includes(track)), LONG)
  await until(() => fleet.api.pods.length === 0, LONG)
}

/** Lets pods end when there are as many as may be, and not before. */
async function inWaves(
  fleet: Fleet,
  { tracks, most }: { tracks: readonly string[]; most: number },
  meanwhile: (wave: number) => unknown = () => {},
) {
  for (let begun = 0, wave = 0; begun < tracks.length; wave++) {
    const due = Math.min(tracks.length, begun + most)
    await until(() => fleet.stubs.length >= due, LONG)
    await meanwhile(wave)
    for (const stub of fleet.stubs.slice(begun, due)) stub.end({ exitCode: 0 })
    begun = due
  }
  await all(fleet, tracks)
}

async function fleetFor(t: Tap) {
  const fleet = await startFleet()
  t.teardown(() => fleet.close())
  return fleet
}
type Tap = { teardown(act: () => unknown): void }

t.test('one pod for each track, never more than allowed, two writes each', async (t) => {
  const fleet = await fleetFor(t)
  const tracks = names(25)
  for (const track of tracks) await fleet.submit(track)
  await fleet.dispatcher(5)
  await inWaves(fleet, { tracks, most: 5 })
  t.equal(fleet.api.most, 5)
  t.strictSame(fleet.stubs.map(({ track }) => track).sort(), tracks.toSorted())
  t.equal(fleet.api.writes.length, 2 * tracks.length)
  t.ok(fleet.api.writes.every((line) => /20[01]$/.test(line)))
})

t.test('an API server that fails, forgets, and is killed: the same', async (t) => {
  const fleet = await fleetFor(t)
  const { api } = fleet
  const tracks = names(28)
  api.faults.push({ on: /^POST/, times: 3, status: 500 })
  api.faults.push({ on: /^POST/, times: 2, status: 429, retryAfter: 1 })
  api.faults.push({ on: /^POST/, times: 2, loseAnswer: true })
  api.faults.push({ on: /^DELETE/, times: 2, loseAnswer: true })
  await fleet.dispatcher(4)
  for (const track of tracks) await fleet.submit(track)
  await inWaves(fleet, { tracks, most: 4 }, async (wave) => {
    if (wave === 1) api.dropWatches()
    if (wave === 2) {
      api.compact()
      api.expireWatches()
    }
    if (wave !== 4) return
    // Half of the pods end while the API server is down.
    await api.kill()
    for (const stub of fleet.stubs.slice(-2)) stub.end({ exitCode: 0 })
    await sleep(500)
    api.compact()
    await api.start()
  })
  t.equal(api.most, 4)
  t.strictSame(fleet.stubs.map(({ track }) => track).sort(), tracks.toSorted())
  t.equal(created(fleet).length, tracks.length)
})

t.test('two dispatchers under one quota: the same', async (t) => {
  const fleet = await fleetFor(t)
  const tracks = names(12)
  fleet.api.quota = 4
  await Promise.all([fleet.dispatcher(4), fleet.dispatcher(4)])
  for (const track of tracks) await fleet.submit(track)
  await inWaves(fleet, { tracks, most: 4 })
  t.equal(fleet.api.most, 4)
  t.strictSame(fleet.stubs.map(({ track }) => track).sort(), tracks.toSorted())
})

t.test(
  'a dispatcher that leaves: its pods go on, and the next one takes them over',
  async (t) => {
    const fleet = await fleetFor(t)
    const tracks = names(9)
    const first = await fleet.dispatcher(3)
    for (const track of tracks) await fleet.submit(track)
    await until(() => fleet.stubs.length === 3, LONG)
    await first.close()
    // One ends while no dispatcher is running. The other two leave room for one.
    fleet.stubs[0]?.end({ exitCode: 0 })
    await fleet.dispatcher(3)
    await until(() => fleet.stubs.length === 4, LONG)
    await lull(1000)
    t.equal(fleet.api.live, 3)
    await inWaves(fleet, { tracks, most: 3 })
    t.equal(fleet.api.most, 3)
    t.strictSame(fleet.stubs.map(({ track }) => track).sort(), tracks.toSorted())
  },
)

t.test(
  'a pod that another message of the same work has left is no answer to this one',
  async (t) => {
    const fleet = await fleetFor(t)
    await fleet.dispatcher(2)
    await fleet.submit('asked-twice')
    await fleet.submit('asked-twice')
    await until(() => fleet.stubs.length === 1, LONG)
    fleet.stubs[0]?.end({ exitCode: 0 })
    await until(() => fleet.stubs.length === 2, LONG)
    fleet.stubs[1]?.end({ exitCode: 0 })
    await until(() => doneTracks(fleet).length === 2, LONG)
    t.equal(fleet.api.most, 1)
  },
)

t.test('a pod that ran out of memory is minted with twice as much', async (t) => {
  const fleet = await fleetFor(t)
  const { kubelet, stubs } = fleet
  await fleet.dispatcher(2)
  await fleet.submit('large')
  for (const times of [1, 2]) {
    await until(() => stubs.length === times, LONG)
    kubelet.outOfMemory(stubs.at(-1)?.pod.metadata.name ?? '')
  }
  await until(() => stubs.length === 3, LONG)
  stubs[2]?.end({ exitCode: 0 })
  await all(fleet, ['large'])
  const memory = stubs.map(({ pod }) =>
    Number.parseInt(pod.spec.containers[0]?.resources?.limits?.memory ?? '', 10),
  )
  const [first = 0] = memory
  t.strictSame(memory, [first, 2 * first, 4 * first])
})

t.test(
  'a pod that is lost with its node is minted again, and counts for nothing',
  async (t) => {
    const fleet = await fleetFor(t)
    const { api, kubelet, stubs } = fleet
    const { pods } = await fleet.dispatcher(2)
    await fleet.submit('unlucky')
    await until(() => stubs.length === 1, LONG)
    kubelet.evict(stubs[0]?.pod.metadata.name ?? '')
    await until(() => stubs.length === 2, LONG)
    // The node vanishes: the pod is deleted, and no kubelet ever confirms it.
    const name = podName(accepted('unlucky', ['bpm']))
    kubelet.loseNode(name)
    const cluster = openCluster()
    const pod = await cluster.read(name)
    if (pod !== undefined) await cluster.remove(pod)
    await until(() => pods.get(name)?.metadata?.deletionTimestamp !== undefined, LONG)
    const metrics = createMetrics('collecting')
    const deps = { cluster, pods, events: eventSink(fleet.bus), route: 'cloud', metrics }
    t.equal(await collectOnce(deps), 0, 'not before its time')
    t.equal(await collectOnce(deps, Date.now() + 20_000 + STUCK_MS), 1)
    await until(() => stubs.length === 3, LONG)
    stubs[2]?.end({ exitCode: 0 })
    await all(fleet, ['unlucky'])
    t.notOk(fleet.events.some(({ verdict }) => verdict === 'retry'))
    await until(() => fleet.events.some(({ verdict }) => verdict === 'collected'), LONG)
    t.equal(api.most, 1)
  },
)

t.test('a pod that gives its message back is minted again after a while', async (t) => {
  const fleet = await fleetFor(t)
  fleet.onBegin = (stub) => stub.end({ exitCode: fleet.stubs.length < 3 ? 75 : 0 })
  await fleet.dispatcher(2)
  await fleet.submit('early')
  await all(fleet, ['early'])
  const attempts = fleet.stubs.map(
    ({ pod }) => pod.metadata.annotations?.['trackchain.dev/attempt'],
  )
  t.strictSame(attempts, ['1', '2', '3'])
})

t.test(
  'a pod that dies every time: a verdict with its reason and its last words',
  async (t) => {
    const fleet = await fleetFor(t)
    fleet.says = 'it began well\nTypeError: a tape is missing\n'
    fleet.onBegin = (stub) => stub.end({ exitCode: 3 })
    await fleet.dispatcher(2)
    await fleet.submit('doomed', ['bpm', 'key'])
    await until(() => fleet.ended.length > 0, LONG)
    t.equal(fleet.stubs.length, MAX_POD_FAILURES)
    const [{ verdicts } = { verdicts: {} }] = fleet.ended
    t.match(verdicts, {
      bpm: { state: 'failed', code: 'POD_FAILED', step: 'dispatch' },
      key: { state: 'failed', sentence: /exit code 3; it said: it began well\nTypeError/ },
    })
    await until(() => fleet.api.pods.length === 0, LONG)
  },
)

t.test('a pod without a dispatcher is collected, one that is waited for is not', async (t) => {
  const fleet = await fleetFor(t)
  const first = await fleet.dispatcher(2)
  await fleet.submit('left')
  await until(() => fleet.stubs.length === 1, LONG)
  // The dispatcher that waited for it has stopped, and the message has been settled in another way.
  await first.close()
  const deaf = new Pods(openCluster(), podsOf('cloud'), 2, createLog('deaf', 'fatal'))
  const stop = new AbortController()
  const following = deaf.follow(stop.signal)
  await deaf.listed
  const deps = {
    cluster: openCluster(),
    pods: deaf,
    events: eventSink(fleet.bus),
    route: 'cloud',
    metrics: createMetrics('collecting'),
  }
  const later = Date.now() + 2 * ENDED_MS
  const name = podName(accepted('left', ['bpm']))
  t.equal(await collectOnce(deps, later), 0, 'it lives')
  fleet.stubs[0]?.end({ exitCode: 1 })
  await until(() => isEnded(deaf.get(name) ?? {}), LONG)
  t.equal(await collectOnce(deps), 0, 'it may be looked for')
  await deaf.attending(name, async () => t.equal(await collectOnce(deps, later), 0, 'it is'))
  t.equal(await collectOnce(deps, later), 1)
  t.match(await deps.metrics.expose(), /^trackchain_collected_total\{step="dispatch"\} 1$/m)
  t.equal(fleet.api.pods.length, 0)
  stop.abort()
  await following
})

t.test('a message that is none is dead-lettered', async (t) => {
  const fleet = await fleetFor(t)
  await fleet.dispatcher(1)
  await fleet.bus.publish('stage', { data: Buffer.from('{}'), attributes: {} })
  await until(() => fleet.letters.length === 1, LONG)
  t.match(fleet.letters, [{ dead_letter_step: 'dispatch', dead_letter_code: 'NOT_A_MESSAGE' }])
  t.equal(fleet.stubs.length, 0)
})
