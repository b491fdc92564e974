import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { ToStage } from '#shared/contracts/messages/run.ts'
import { digest } from '#shared/contracts/names.ts'
import type { DeliveryFacts } from '#shared/frame/step.ts'
import type { Pod } from './cluster.ts'
import type { Needs } from './pod-resources.ts'

/** What the pod of a track exits with when its message has to come again: EX_TEMPFAIL. */
export const GIVEN_BACK = 75
/** What Node exits with when its heap is full. */
const ABORTED = 134

const MANAGED_BY = 'app.kubernetes.io/managed-by'
const DISPATCHER = 'trackchain-dispatch'
const ROUTE = 'trackchain.dev/route'
const MESSAGE = 'trackchain.dev/message'
const ATTEMPT = 'trackchain.dev/attempt'
/** Linux takes no longer argument than 128 KiB; base64 makes four bytes of three. */
const MAX_BYTES = 96 << 10
/** Of a node that is gone nothing is heard: after so long its pods are given up, seconds. */
const UNREACHABLE_SECONDS = 60

/** The selector of a route's pods. */
export function podsOf(route: string): string {
  return `${MANAGED_BY}=${DISPATCHER},${ROUTE}=${route}`
}

/** The same for every copy of a message, and for no other work: of two that are minted one is refused. */
export function podName(message: ToStage): string {
  const { job, run, route, restarts, request } = message
  const work = 'staging' in message ? message.staging : message.masters
  return `track-${job}-${run}-${digest([route, restarts, request, work])}`
}

export interface PodSettings {
  /** An operator's own: image, volumes, account, and what else a pod may have. */
  readonly template: Pod
  /** The settings of the process in it. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * The pod that takes one delivery's track through every step.
 * @throws PermanentError TOO_LARGE for a message that is no reference any more.
 */
export function podFor(
  message: ToStage,
  delivery: DeliveryFacts,
  needs: Needs,
  { template, env }: PodSettings,
): Pod {
  const { metadata, spec } = template
  const [container, ...others] = spec?.containers ?? []
  if (spec === undefined || container === undefined)
    throw new Error('the pod template has no spec.containers')
  const { cpus, memoryMiB, diskMiB, deadlineSeconds } = needs
  const bounded = { cpu: String(cpus), memory: `${memoryMiB}Mi` }
  const { resources = {} } = container
  const given = new Set(container.env?.map(({ name }) => name))
  const ours = Object.entries({ ...env, TRACKCHAIN_CONCURRENCY: String(cpus) })
    .filter(([name]) => !given.has(name))
    .map(([name, value]) => ({ name, value }))
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      name: podName(message),
      labels: {
        'app.kubernetes.io/part-of': 'trackchain',
        'app.kubernetes.io/component': 'track',
        ...metadata?.labels,
        [MANAGED_BY]: DISPATCHER,
        [ROUTE]: message.route,
        'trackchain.dev/job': message.job,
        'trackchain.dev/run': String(message.run),
      },
      annotations: {
        ...metadata?.annotations,
        'trackchain.dev/track': message.request.asset_guid,
        [MESSAGE]: delivery.id,
        [ATTEMPT]: String(delivery.attempt),
      },
    },
    spec: {
      terminationGracePeriodSeconds: 15,
      automountServiceAccountToken: false,
      // Else a Service named trackchain would put unknown TRACKCHAIN_ variables into it.
      enableServiceLinks: false,
      ...spec,
      restartPolicy: 'Never',
      activeDeadlineSeconds: deadlineSeconds,
      tolerations: [...TOLERATIONS, ...(spec.tolerations ?? [])],
      containers: [
        {
          ...container,
          command: container.command ?? ['node', 'services/dispatch/pod/main.ts'],
          args: [argumentOf({ ...delivery, message })],
          env: [...(container.env ?? []), ...ours],
          resources: {
            ...resources,
            requests: {
              ...resources.requests,
              ...bounded,
              'ephemeral-storage': `${diskMiB}Mi`,
            },
            limits: { ...resources.limits, ...bounded },
          },
        },
        ...others,
      ],
    },
  }
}

/** Nodes that may vanish are welcome. */
const TOLERATIONS = [
  { key: 'cloud.google.com/gke-spot', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
  { key: 'cloud.google.com/gke-preemptible', operator: 'Exists', effect: 'NoSchedule' },
  ...['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready'].map((key) => ({
    ...{ key, operator: 'Exists', effect: 'NoExecute' },
    tolerationSeconds: UNREACHABLE_SECONDS,
  })),
]

/** What a pod is told of the delivery that it is minted for. */
interface Told extends DeliveryFacts {
  readonly message: unknown
}

/** A delivery as one word: in base64 nothing of it is expanded by the API, `$(…)` in a title say. */
function argumentOf({ id, attempt, attributes, message }: Told): string {
  const json = Buffer.from(JSON.stringify({ id, attempt, attributes, message }))
  if (json.length <= MAX_BYTES) return json.toString('base64')
  const words = `a message of ${json.length} bytes can't be handed to a pod: ${MAX_BYTES} at most`
  throw new PermanentError('TOO_LARGE', words)
}

/** What the argument stands for. @throws Error when it stands for nothing. */
export function toldBy(argument = ''): Told {
  const told = JSON.parse(Buffer.from(argument, 'base64').toString() || 'null')
  if (typeof told?.id === 'string' && typeof told.attempt === 'number') return told
  throw new Error('the argument is no delivery: only the dispatcher starts this process')
}

/** Whether the pod was minted for this message; and for this delivery of it. */
export function isFor(pod: Pod, { id }: Pick<DeliveryFacts, 'id'>): boolean {
  return pod.metadata?.annotations?.[MESSAGE] === id
}
export function isOf(pod: Pod, delivery: DeliveryFacts): boolean {
  const attempt = pod.metadata?.annotations?.[ATTEMPT]
  return isFor(pod, delivery) && attempt === String(delivery.attempt)
}

/** What became of a pod. */
export interface Fate {
  /**
   * `lost`: with its node, or by somebody's hand, which is nobody's fault; `given back`: it says itself that
   * the message has to come again.
   */
  readonly kind: 'succeeded' | 'given back' | 'lost' | 'out of memory' | 'failed'
  /** A sentence. */
  readonly reason: string
}

export function isEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** What became of a pod that has ended; undefined while it has not. */
export function fateOf(pod: Pod): Fate | undefined {
  const { status } = pod
  if (!isEnded(pod)) return undefined
  const ended = status?.containerStatuses?.[0]?.state?.terminated
  const { reason: why = '', message = '' } = status ?? {}
  const words = [why, message, ended && `${ended.reason}, exit code ${ended.exitCode}`]
  const reason = words.filter((part) => part).join(': ') || 'no reason given'
  if (status?.phase === 'Succeeded') return { kind: 'succeeded', reason }
  if (ended?.reason === 'OOMKilled') return { kind: 'out of memory', reason }
  const isDisrupted = status?.conditions?.some(
    ({ type, status }) => type === 'DisruptionTarget' && status === 'True',
  )
  if (isDisrupted || LOST.test(why)) return { kind: 'lost', reason }
  if (why === 'DeadlineExceeded') return { kind: 'failed', reason }
  if (ended?.exitCode === GIVEN_BACK) return { kind: 'given back', reason }
  if (ended?.exitCode === ABORTED) return { kind: 'out of memory', reason }
  return { kind: 'failed', reason }
}

/** What kubelets, the scheduler and the node controller say of pods that were not at fault. */
const LOST =
  /^(Evicted|NodeLost|NodeShutdown|NodeAffinity|Terminated|Shutdown|Preempting|Preempted|UnexpectedAdmissionError|OutOf\w+)$/

/** When it ended, ms since 1970. */
export function endedAt({ status, metadata }: Pod): number {
  const ended = status?.containerStatuses?.[0]?.state?.terminated?.finishedAt
  return timeOf(ended) ?? timeOf(status?.startTime) ?? timeOf(metadata?.creationTimestamp) ?? 0
}

/** When something of a pod was, ms since 1970. */
export function timeOf(time: Date | string | undefined): number | undefined {
  return time === undefined || time === null ? undefined : new Date(time).getTime()
}
