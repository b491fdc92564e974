import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadRegistry } from '#shared/assets/registry.ts'
import { type PubsubBus, pubsubBus } from '#shared/bus/pubsub.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { Events } from '#shared/contracts/messages/event.ts'
import { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { ONE_MACHINE, topology } from '#shared/contracts/topology.ts'
import { delivering } from '#shared/frame/deliver.ts'
import { eventSink } from '#shared/frame/events.ts'
import { send } from '#shared/frame/step.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { createMetrics } from '#shared/frame/telemetry/metrics.ts'
import { Breaker } from '#shared/frame/upstreams/breaker.ts'
import { openStore } from '#shared/store/open.ts'
import { checkedTemplate, openCluster } from '../../../services/dispatch/cluster/cluster.ts'
import { podsOf } from '../../../services/dispatch/cluster/pod-spec.ts'
import { Pods } from '../../../services/dispatch/cluster/pods.ts'
import { dispatchStep } from '../../../services/dispatch/dispatcher.ts'
import { startPubsubServer } from '../../../tools/local/pubsub/server.ts'
import { KubeApi } from '../../support/fakes/kube-api.ts'
import {
  type Container,
  type Ended,
  Kubelet,
  type KubePod,
} from '../../support/fakes/kubelet.ts'

/** A pod that does nothing and ends on request. It tests the dispatcher, not the pods of tracks. */
interface Stub {
  readonly pod: KubePod
  readonly track: string
  end(ended: Ended): void
}

export interface Fleet {
  readonly api: KubeApi
  readonly kubelet: Kubelet
  readonly bus: PubsubBus
  /** The pods that have started, in order. */
  readonly stubs: Stub[]
  /** Called for each pod when it starts. */
  onBegin: (stub: Stub) => void
  /** The content of a stub's log. */
  says: string
  readonly ended: RunEnded[]
  readonly events: StepEvent[]
  readonly letters: Readonly<Record<string, string>>[]
  submit(track: string, wanted?: string[]): Promise<void>
  /** A dispatcher in this process. */
  dispatcher(most: number): Promise<{ readonly pods: Pods; close(): Promise<void> }>
  close(): Promise<void>
}

/** A cluster, a queue and stores, for dispatchers in this process. */
export async function startFleet(): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), 'trackchain-fleet-'))
  const stubs: Stub[] = []
  const kubelet = new Kubelet((pod) => {
    const { stub, container } = stubFor(pod, () => fleet.says)
    stubs.push(stub)
    fleet.onBegin(stub)
    return container
  })
  const api = new KubeApi(kubelet)
  await api.start()
  await writeFile(join(folder, 'kubeconfig'), api.kubeconfig)
  process.env.KUBECONFIG = join(folder, 'kubeconfig')
  const server = await startPubsubServer({ port: 0, file: join(folder, 'pubsub.sqlite') })
  const bus = pubsubBus({ projectId: 'test', endpoint: `127.0.0.1:${server.port}` })
  await bus.ensure(topology(['cloud'], { ...ONE_MACHINE, minSeconds: 0.1, maxSeconds: 0.5 }))
  const registry = await loadRegistry()
  for (const name of ['assets', 'scratch']) await mkdir(join(folder, name))
  const [assets, scratch] = ['assets', 'scratch'].map((name) =>
    openStore(`file://${join(folder, name)}`),
  ) as [ReturnType<typeof openStore>, ReturnType<typeof openStore>]
  const log = createLog('dispatch', 'fatal')
  const ended: RunEnded[] = []
  const events: StepEvent[] = []
  const letters: Readonly<Record<string, string>>[] = []
  const hearing = { concurrency: 10, longestMs: 5000, onError: () => {} }
  const ears = [
    bus.subscribe('publish', hearing, async ({ data }) => {
      ended.push(RunEnded.parse(data))
      return 'ack'
    }),
    bus.subscribe('events', hearing, async ({ data }) => {
      events.push(...Events.parse(data).events)
      return 'ack'
    }),
    bus.subscribe('dead-letter', hearing, async ({ attributes }) => {
      letters.push(attributes)
      return 'ack'
    }),
  ]
  const closers: (() => Promise<void>)[] = []
  const fleet: Fleet = {
    ...{ api, kubelet, bus, stubs, ended, events, letters },
    onBegin: () => {},
    says: '',
    async submit(track, wanted = ['bpm']) {
      const { topic, data, attributes } = send('stage', RunAccepted, accepted(track, wanted))
      await bus.publish(topic, { data, attributes })
    },
    async dispatcher(most) {
      const stopping = new AbortController()
      const cluster = openCluster()
      const pods = new Pods(cluster, podsOf('cloud'), most, log)
      const following = pods.follow(stopping.signal)
      const template = checkedTemplate({
        spec: { containers: [{ name: 'track', image: 'trackchain:test' }] },
      })
      const settings = { template, env: {} }
      const measure = async () => ({ seconds: 300, bytes: 1 << 20 })
      const step = dispatchStep({
        ...{ cluster, pods, registry, settings, coreSlowdown: 1, measure, log },
      })
      const metrics = createMetrics('dispatch')
      const breaker = new Breaker({ log, metrics, stopping: stopping.signal })
      const deps = { bus, events: eventSink(bus), assets, scratch, log }
      await pods.listed
      const subscriber = bus.subscribe(
        'stage',
        { concurrency: most, longestMs: 600_000, onError: () => {} },
        delivering(step, {
          ...{ ...deps, metrics, breaker },
          stopping: stopping.signal,
          aborting: stopping.signal,
          hardLimitMs: 600_000,
        }),
      )
      const close = async () => {
        stopping.abort(new Error('stopping'))
        await Promise.all([subscriber.close(), following])
      }
      closers.push(close)
      return { pods, close }
    },
    async close() {
      for (const close of closers) await close()
      await Promise.all(ears.map((ear) => ear.close()))
      await bus.close()
      await api.close()
      await server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
  return fleet
}

export function accepted(track: string, derivative_assets: string[]): RunAccepted {
  const request_id = '00000000-0000-4000-8000-000000000001'
  return {
    request: { request_id, asset_guid: track, derivative_assets },
    ...{ job: jobId(request_id, track), run: 1, route: 'cloud', restarts: 0 },
    accepted: '2026-01-01T00:00:00.000Z',
    masters: [`file:///nowhere/${track}.wav`],
  }
}

function stubFor(pod: KubePod, said: () => string): { stub: Stub; container: Container } {
  const { promise, resolve } = Promise.withResolvers<Ended>()
  const track = pod.metadata.annotations?.['trackchain.dev/track'] ?? ''
  const container: Container = {
    ended: promise,
    signal: (signal) => resolve({ exitCode: signal === 'SIGTERM' ? 75 : 137 }),
    said,
  }
  return { stub: { pod, track, end: resolve }, container }
}
