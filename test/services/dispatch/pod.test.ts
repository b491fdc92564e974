import t from 'tap'
import { loadRegistry } from '#shared/assets/registry.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { checkedTemplate, type Pod } from '../../../services/dispatch/cluster/cluster.ts'
import { withImage } from '../../../services/dispatch/cluster/image.ts'
import {
  estimateSeconds,
  resourcesOf,
} from '../../../services/dispatch/cluster/pod-resources.ts'
import {
  deliveryFrom,
  fateOf,
  podFor,
  podName,
} from '../../../services/dispatch/cluster/pod-spec.ts'
import { accepted } from './fleet.ts'

const registry = await loadRegistry()
const message = accepted('track', ['bpm'])
const delivery = { id: '42', attempt: 2, attributes: { googclient: 'x' } }
const needs = { cpus: 1, memoryMiB: 1000, diskMiB: 300, deadlineSeconds: 900 }
const template = checkedTemplate({
  metadata: { labels: { team: 'audio' } },
  spec: {
    serviceAccountName: 'track',
    tolerations: [{ key: 'rack', operator: 'Exists' }],
    volumes: [{ name: 'masters', nfs: { server: 'nfs', path: '/masters' } }],
    containers: [
      {
        name: 'track',
        image: 'trackchain:1',
        env: [{ name: 'TRACKCHAIN_LOG_LEVEL', value: 'debug' }],
        resources: { limits: { 'example.com/dsp': '1' } },
      },
    ],
  },
})
const env = { TRACKCHAIN_LOG_LEVEL: 'info', TRACKCHAIN_ROUTE: 'cloud' }

t.test('a name is the same for copies of a message, and another for other work', async (t) => {
  const name = podName(message)
  t.match(name, /^track-[0-9a-f]{24}-1-[0-9a-f]{16}$/)
  t.equal(podName({ ...message, accepted: '2026-02-02T00:00:00.000Z' }), name)
  for (const other of [{ run: 2 }, { restarts: 1 }, { masters: ['file:///other.wav'] }])
    t.not(podName({ ...message, ...other }), name)
  const wider = { ...message.request, derivative_assets: ['bpm', 'key'] }
  t.not(podName({ ...message, request: wider }), name)
})

t.test("the template's own stays, and what the dispatcher knows is filled in", async (t) => {
  const pod = podFor(message, delivery, needs, { template, env })
  const [container] = pod.spec?.containers ?? []
  t.match(pod.spec, {
    serviceAccountName: 'track',
    restartPolicy: 'Never',
    activeDeadlineSeconds: 900,
    volumes: [{ name: 'masters' }],
  })
  t.ok(pod.spec?.tolerations?.some(({ key }) => key === 'rack'))
  t.ok(pod.spec?.tolerations?.some(({ key }) => key === 'cloud.google.com/gke-spot'))
  t.same(container?.env, [
    { name: 'TRACKCHAIN_LOG_LEVEL', value: 'debug' },
    { name: 'TRACKCHAIN_ROUTE', value: 'cloud' },
    { name: 'TRACKCHAIN_CONCURRENCY', value: '1' },
  ])
  t.same(container?.resources, {
    requests: { cpu: '1', memory: '1000Mi', 'ephemeral-storage': '300Mi' },
    limits: { 'example.com/dsp': '1', cpu: '1', memory: '1000Mi' },
  })
  t.match(pod.metadata?.labels, { team: 'audio', 'trackchain.dev/route': 'cloud' })
  t.strictSame(deliveryFrom(container?.args?.[0]), { ...delivery, message })
})

t.test('a field that no pod has is named', async (t) => {
  const misspelt = { spec: { containers: [{ name: 'a', image: 'b', resource: {} }] } }
  t.throws(() => checkedTemplate(misspelt), /no spec\.containers\.0\.resource/)
})

t.test('without an image of its own a pod has that of the pod of its dispatcher', async (t) => {
  const written = (image?: string) =>
    checkedTemplate({ spec: { containers: [{ name: 'track', ...(image && { image }) }] } })
  const containers = [
    { name: 'proxy', image: 'proxy:1' },
    { name: 'service', image: 'trackchain:2' },
  ]
  const imageOf = async (template: Pod, own?: Pod) =>
    (await withImage(template, async () => own)).spec?.containers[0]?.image
  t.equal(await imageOf(written(), { spec: { containers } }), 'trackchain:2')
  t.equal(await imageOf(written('trackchain:1'), { spec: { containers } }), 'trackchain:1')
  const other = { spec: { containers: containers.slice(0, 1) } }
  await t.rejects(imageOf(written(), other), /image is missing/)
  await t.rejects(imageOf(written()), /image is missing/)
  await t.rejects(imageOf({}, { spec: { containers } }), /spec\.containers is missing/)
})

t.test('a message that no argument holds is refused for good', async (t) => {
  const long = { ...message, masters: ['file:///'.padEnd(100_000, 'x')] }
  t.throws(() => podFor(long, delivery, needs, { template, env }), PermanentError)
  t.throws(() => deliveryFrom('bm90aGluZw=='), Error)
  t.throws(() => deliveryFrom(undefined), /no delivery/)
})

t.test(
  'longer tracks and more assets need more, what ran out of memory twice as much',
  async (t) => {
    const of = (seconds: number, assets: string[], outOfMemory = 0) =>
      resourcesOf(assets, { seconds, bytes: seconds * 176_400 }, registry, {
        coreSlowdown: 1,
        outOfMemory,
      })
    const usual = of(400, ['bpm', 'aac-128'])
    const long = of(7200, ['bpm', 'aac-128'])
    t.equal(usual.cpus, 1)
    t.ok(long.cpus > 1, `${long.cpus} cpus`)
    t.equal(of(86_400, ['bpm', 'aac-128', 'flac']).cpus, 3, 'which a node of four cores has')
    for (const key of ['memoryMiB', 'diskMiB', 'deadlineSeconds'] as const)
      t.ok(long[key] > usual[key], key)
    t.ok(of(400, ['bpm', 'aac-128', 'flac']).memoryMiB > usual.memoryMiB)
    t.equal(of(400, ['bpm', 'aac-128'], 1).memoryMiB, 2 * usual.memoryMiB)
    t.equal(of(400, ['bpm', 'aac-128'], 9).memoryMiB, 8 * usual.memoryMiB)
    t.equal(estimateSeconds('a.wav', 176_400 * 60), 60)
    t.ok(estimateSeconds('a.mp3', 4_000_000) >= 100)
  },
)

t.test('what became of a pod', async (t) => {
  const ended = (exitCode: number, reason = 'Error') => ({
    containerStatuses: [{ state: { terminated: { exitCode, reason } } }],
  })
  const cases = [
    [{ phase: 'Pending' }, undefined],
    [{ phase: 'Running' }, undefined],
    [{ phase: 'Succeeded', ...ended(0, 'Completed') }, 'succeeded'],
    [{ phase: 'Failed', ...ended(3) }, 'failed'],
    [{ phase: 'Failed', ...ended(75) }, 'given back'],
    [{ phase: 'Failed', ...ended(2) }, 'given back'],
    [{ phase: 'Failed', ...ended(137, 'OOMKilled') }, 'out of memory'],
    [{ phase: 'Failed', ...ended(134) }, 'out of memory'],
    [{ phase: 'Failed', reason: 'DeadlineExceeded', ...ended(75) }, 'failed'],
    [{ phase: 'Failed', reason: 'Evicted' }, 'lost'],
    [{ phase: 'Failed', reason: 'NodeShutdown' }, 'lost'],
    [{ phase: 'Failed', reason: 'OutOfcpu' }, 'lost'],
    [
      {
        phase: 'Failed',
        ...ended(137),
        conditions: [{ type: 'DisruptionTarget', status: 'True' }],
      },
      'lost',
    ],
    // It was to be evicted, and then it was not: its death is its own.
    ...[
      { type: 'DisruptionTarget', status: 'False' },
      { type: 'Ready', status: 'True' },
    ].map(
      (condition) =>
        [{ phase: 'Failed', ...ended(3), conditions: [condition] }, 'failed'] as const,
    ),
    [{ phase: 'Failed', reason: 'Evicted', ...ended(3) }, 'lost'],
    [{ phase: 'Failed', reason: 'OutOfmemory' }, 'lost'],
    [{ phase: 'Failed', reason: 'NotEvicted', ...ended(3) }, 'failed'],
  ] as const
  for (const [status, kind] of cases) {
    t.equal(fateOf({ status } as unknown as Pod)?.kind, kind, JSON.stringify(status))
  }
})
