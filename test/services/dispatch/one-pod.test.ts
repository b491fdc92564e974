import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { StepContext } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { openStore } from '#shared/store/open.ts'
import {
  type Cluster,
  ClusterError,
  type Pod,
} from '../../../services/dispatch/cluster/cluster.ts'
import { podName } from '../../../services/dispatch/cluster/pod-spec.ts'
import { Pods } from '../../../services/dispatch/cluster/pods.ts'
import { collectOnce, ENDED_MS, STUCK_MS } from '../../../services/dispatch/collect.ts'
import { dispatchStep, MAX_POD_FAILURES } from '../../../services/dispatch/dispatcher.ts'
import { until } from '../../support/patience.ts'
import { accepted } from './fleet.ts'

// What the dispatcher does about one pod, over a cluster that is a map: dispatcher.test.ts has one that speaks HTTP.
const log = createLog('dispatch', 'silent')
const registry = await loadRegistry()
const message = accepted('track', ['bpm'])
const name = podName(message)
const settings = {
  template: { spec: { containers: [{ name: 'track', image: 'trackchain:1' }] } },
  env: {},
}

/** A cluster as a map of pods, the pods known of it, and the deliveries of one message. */
async function bench(t: Test, most = 2) {
  const folder = await mkdtemp(join(tmpdir(), 'one-pod-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const scratch = openStore(`file://${folder}`)
  const there = new Map<string, Pod>()
  const calls: string[] = []
  let uids = 0
  const cluster: Cluster = {
    ...{ server: '', namespace: 'default' },
    list: async () => ({ pods: [...there.values()], version: '1' }),
    watch: () => new Promise(() => {}),
    async create(pod) {
      calls.push('create')
      const of = pod.metadata?.name ?? ''
      if (there.has(of)) throw new ClusterError('there is one', 409)
      const metadata = { ...pod.metadata, uid: `uid-${++uids}`, creationTimestamp: new Date() }
      const made = { ...pod, metadata, status: { phase: 'Running' } }
      there.set(of, made)
      return made
    },
    read: async (of) => there.get(of),
    async remove(pod) {
      calls.push(`remove ${pod.metadata?.uid}`)
      const of = pod.metadata?.name ?? ''
      if (there.get(of)?.metadata?.uid !== pod.metadata?.uid) return false
      return there.delete(of)
    },
    lastLines: async () => 'its last words',
  }
  const pods = new Pods(cluster, 'labels', most, log)
  const step = dispatchStep({
    ...{ cluster, pods, registry, settings, coreSlowdown: 1, log },
    measure: async () => ({ seconds: 100, bytes: 1e6 }),
  })
  const stop = new AbortController()
  t.teardown(() => stop.abort(new Error('over')))
  const context = (attempt: number, id: string): StepContext => ({
    ...{ assets: scratch, scratch, signal: stop.signal, counted: (store) => store },
    delivery: { id, attempt, attributes: {}, published: new Date() },
    collected: () => {},
    finished: () => {},
    spentMs: () => 0,
    asUnit: (_, act) => act(),
    onCore: (act) => act(),
    write: (_, of, body, contentType) => scratch.create(of, body, { contentType }) as never,
  })
  const deliver = (attempt = 1, id = 'm1') => step.run(message, context(attempt, id))
  /** Says how the pod has ended, as the kubelet does. */
  const ends = (status: object) => {
    const pod = there.get(name)
    if (pod === undefined) throw new Error('there is no pod')
    const ended = { ...pod, status: { phase: 'Failed', ...status } }
    there.set(name, ended)
    pods.note(ended)
  }
  const isThere = () => until(() => there.get(name)?.status?.phase === 'Running')
  const cancel = () => step.cancelled?.(message, context(1, 'm1'))
  return { cluster, pods, there, calls, deliver, cancel, ends, isThere, scratch }
}

const exits = (exitCode: number, reason = 'Error') => ({
  containerStatuses: [{ name: 'track', state: { terminated: { exitCode, reason } } }],
})
const removes = (calls: readonly string[]) => calls.filter((call) => call.startsWith('remove'))

t.test('a pod that has succeeded is removed once its success has been reported', async (t) => {
  const { deliver, ends, isThere, calls } = await bench(t)
  const delivered = deliver()
  await isThere()
  ends({ phase: 'Succeeded', ...exits(0, 'Completed') })
  const next = await delivered
  t.match(next, { sends: [], verdict: 'done', units: [name] })
  t.same(removes(calls), [], 'a crash between must find it')
  for (const act of next.afterwards ?? []) await act()
  t.same(removes(calls), ['remove uid-1'])
})

t.test('the pod of a cancelled run is removed, known or not', async (t) => {
  const { deliver, cancel, isThere, pods, there, calls } = await bench(t)
  await cancel()
  t.same(calls, [], 'there is none')
  const given = deliver()
  given.catch(() => {})
  await isThere()
  // As after a restart, when the message comes to another dispatcher.
  const pod = there.get(name)
  if (pod !== undefined) pods.forget(pod)
  await cancel()
  t.same(removes(calls)[0], 'remove uid-1')
})

t.test('success for another message of the same work is no answer to this one', async (t) => {
  const { deliver, ends, isThere, calls } = await bench(t)
  const first = deliver(1, 'm1')
  await isThere()
  ends({ phase: 'Succeeded', ...exits(0) })
  await first
  const second = deliver(1, 'm2')
  await isThere()
  t.same(calls, ['create', 'remove uid-1', 'create'])
  ends({ phase: 'Succeeded', ...exits(0) })
  t.match(await second, { verdict: 'done' })
})

t.test('a pod that is there is waited for, and none is minted beside it', async (t) => {
  const { deliver, ends, isThere, calls } = await bench(t)
  const both = [deliver(1), deliver(2)]
  await isThere()
  ends({ phase: 'Succeeded', ...exits(0) })
  for (const each of await Promise.all(both)) t.match(each, { verdict: 'done' })
  t.equal(calls.filter((call) => call === 'create').length <= 2, true)
  t.ok(calls.length <= 2, `${calls}`)
})

t.test('what is lost with its node is minted again within the delivery', async (t) => {
  const { deliver, ends, isThere, calls, scratch } = await bench(t)
  const delivered = deliver()
  await isThere()
  ends({ reason: 'Evicted' })
  await isThere()
  ends({ phase: 'Succeeded', ...exits(0) })
  t.match(await delivered, { verdict: 'done' })
  t.same(calls, ['create', 'remove uid-1', 'create'])
  t.same(await Array.fromAsync(scratch.list('')), [], 'and counts for nothing')
})

t.test('what gives its message back is given back, and counts for nothing', async (t) => {
  const { deliver, ends, isThere, calls, scratch } = await bench(t)
  const delivered = t.rejects(deliver(), /given back/)
  await isThere()
  ends(exits(75))
  await delivered
  t.same(removes(calls), ['remove uid-1'])
  t.same(await Array.fromAsync(scratch.list('')), [])
})

t.test(
  'a pod that dies of its own cause is a verdict at the fifth death, whichever dispatcher sees it',
  async (t) => {
    const { deliver, ends, isThere, scratch } = await bench(t)
    t.equal(MAX_POD_FAILURES, 5, 'as the documents say')
    for (let death = 1; death <= 5; death++) {
      const words = death < 5 ? /failed/ : /5 pods died; .*its last words/
      const code = death < 5 ? undefined : 'POD_FAILED'
      const rejected = t.rejects(deliver(death), { message: words, ...(code && { code }) })
      await isThere()
      ends(exits(3))
      await rejected
      t.equal((await Array.fromAsync(scratch.list(''))).length, death)
    }
  },
)

t.test('one that ran out of memory is minted with twice as much', async (t) => {
  const { deliver, ends, isThere, there } = await bench(t)
  const memory = () => there.get(name)?.spec?.containers[0]?.resources?.limits?.memory ?? ''
  const sizes: number[] = []
  for (let attempt = 1; attempt <= 3; attempt++) {
    const rejected = t.rejects(deliver(attempt), /out of memory/)
    await isThere()
    sizes.push(Number.parseInt(memory(), 10))
    ends(exits(137, 'OOMKilled'))
    await rejected
  }
  const [first = 0] = sizes
  t.same(sizes, [first, 2 * first, 4 * first])
})

t.test('no more pods than allowed, those that are being minted included', async (t) => {
  const { pods, cluster } = await bench(t, 2)
  const gate = Promise.withResolvers<void>()
  const stop = new AbortController()
  let minting = 0
  const mint = (of: string) =>
    pods.mint(of, stop.signal, async () => {
      minting++
      await gate.promise
      return cluster.create({ metadata: { name: of } })
    })
  const all = ['a', 'b', 'c'].map(mint)
  await new Promise(setImmediate)
  t.equal(minting, 2)
  gate.resolve()
  await Promise.all(all.slice(0, 2))
  await new Promise(setImmediate)
  t.equal(minting, 2, 'both live')
  const [first] = pods.all()
  if (first) pods.note({ ...first, status: { phase: 'Succeeded' } })
  await all[2]
  t.equal(minting, 3, 'one that has ended leaves its room')
  const waiting = mint('d')
  stop.abort(new Error('enough'))
  await t.rejects(waiting, /enough/)
  // A failed creation releases its room.
  const other = new Pods(cluster, 'labels', 1, log)
  const never = new AbortController().signal
  await t.rejects(
    other.mint('x', never, async () => Promise.reject(new Error('no'))),
    /no/,
  )
  await other.mint('y', never, async () => ({ metadata: { name: 'y' } }))
})

t.test('news of an old pod says nothing of the one that has its name now', async (t) => {
  const { pods, cluster } = await bench(t)
  const old: Pod = { metadata: { name, uid: 'old' } }
  await pods.mint(name, new AbortController().signal, () =>
    cluster.create({ metadata: { name } }),
  )
  pods.forget(old)
  t.equal(pods.get(name)?.metadata?.uid, 'uid-1')
})

t.test(
  'a pod that no dispatcher waits for is collected and reported; one that is waited for is not',
  async (t) => {
    const { pods, cluster, there, ends } = await bench(t)
    const events: StepEvent[] = []
    const metrics = createMetrics('collect')
    const collect = (now: number) =>
      collectOnce(
        {
          ...{ cluster, pods, route: 'cloud', metrics },
          events: { report: async (event) => void events.push(event) },
        },
        now,
      )
    await pods.mint(name, new AbortController().signal, () =>
      cluster.create({ metadata: { name } }),
    )
    const later = Date.now() + ENDED_MS + 60_000
    t.equal(await collect(later), 0, 'it lives')
    ends(exits(3))
    t.equal(await collect(Date.now()), 0, 'it has just ended')
    await pods.attending(name, async () => {
      await pods.attending(name, async () => {})
      t.equal(await collect(later), 0, 'somebody waits for it')
    })
    t.equal(await collect(later), 1)
    t.match(events, [{ step: 'dispatch', verdict: 'collected', units: [name], route: 'cloud' }])
    t.equal(there.size, 0)

    // A pod on a vanished node is collected even while a delivery waits for it.
    await pods.mint(name, new AbortController().signal, () =>
      cluster.create({ metadata: { name } }),
    )
    const pod = there.get(name) as Pod
    pods.note({ ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date() } })
    await pods.attending(name, async () => {
      t.equal(await collect(Date.now()), 0, 'it may still end')
      t.equal(await collect(Date.now() + STUCK_MS + 1000), 1)
    })
    t.match(events[1]?.sentence, /its node is gone/)
  },
)
