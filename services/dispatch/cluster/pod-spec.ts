import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { CONFIG_EXIT } from '#shared/contracts/errors/config.ts'
import type { ToStage } from '#shared/contracts/messages/run.ts'
import { digest } from '#shared/contracts/names.ts'
import type { DeliveryFacts } from '#shared/frame/step.ts'
import type { Pod } from './cluster.ts'
import type { PodResources } from './pod-resources.ts'

/** The exit code of a track's pod whose message has to be delivered again: EX_TEMPFAIL. */
export const GIVEN_BACK = 75
/** The exit code of Node when its heap is full: SIGABRT. */
const ABORTED = 134

const MANAGED_BY = 'app.kubernetes.io/managed-by'
const DISPATCHER = 'trackchain-dispatch'
const ROUTE = 'trackchain.dev/route'
const MESSAGE = 'trackchain.dev/message'
const ATTEMPT = 'trackchain.dev/attempt'
/** Linux limits an argument to 128 KiB; base64 turns three bytes into four. */
const MAX_BYTES = 96 << 10
/** Time after which the pods of an unreachable node are evicted, seconds. */
const UNREACHABLE_SECONDS = 60

/** The label selector of a route's pods. */
export function podsOf(route: string): string {
  return `${MANAGED_BY}=${DISPATCHER},${ROUTE}=${route}`
}

/**
 * The name of a message's pod. It is the same for every copy of the message and differs for any other work, so
 * that of two pods created for one message the API refuses the second.
 */
export function podName(message: ToStage): string {
  const { job, run, route, restarts, request } = message
  const work = 'staging' in message ? message.staging : message.masters
  return `track-${job}-${run}-${digest([route, restarts, request, work])}`
}

export interface PodSettings {
  /** The operator's pod template: image, volumes, service account and any other field of a pod. */
  readonly template: Pod
  /** The environment variables of the process in the pod. */
  readonly env: Readonly<Record<string, string>>
}

/**
 * The pod that takes one delivery's track through every step.
 * @throws PermanentError MESSAGE_TOO_LARGE for a message that does not fit into an argument
 */
export function podFor(
  message: ToStage,
  delivery: Omit<DeliveryFacts, 'published'>,
  needs: PodResources,
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
      // Otherwise a Service called trackchain would add unknown TRACKCHAIN_ variables to the environment.
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

/** Pods of tracks may run on nodes that can vanish, such as spot nodes. */
const TOLERATIONS = [
  { key: 'cloud.google.com/gke-spot', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
  { key: 'cloud.google.com/gke-preemptible', operator: 'Exists', effect: 'NoSchedule' },
  ...['node.kubernetes.io/unreachable', 'node.kubernetes.io/not-ready'].map((key) => ({
    key,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: UNREACHABLE_SECONDS,
  })),
]

/** The delivery that a pod is created for, as its argument carries it. */
interface PodDelivery extends Omit<DeliveryFacts, 'published'> {
  readonly message: unknown
}

/** Encodes a delivery as one argument. In base64 the API expands nothing in it, for example `$(…)` in a title. */
function argumentOf({ id, attempt, attributes, message }: PodDelivery): string {
  const json = Buffer.from(JSON.stringify({ id, attempt, attributes, message }))
  if (json.length <= MAX_BYTES) return json.toString('base64')
  const words = `a message of ${json.length} bytes can't be handed to a pod: ${MAX_BYTES} at most`
  throw new PermanentError('MESSAGE_TOO_LARGE', words)
}

/** Decodes the delivery from the argument of a pod. @throws Error when the argument is not a delivery */
export function deliveryFrom(argument = ''): PodDelivery {
  const delivery = JSON.parse(Buffer.from(argument, 'base64').toString() || 'null')
  if (typeof delivery?.id === 'string' && typeof delivery.attempt === 'number') return delivery
  throw new Error('the argument is no delivery: only the dispatcher starts this process')
}

/** Whether the pod was created for this message. See `isOf` for this delivery of it. */
export function isFor(pod: Pod, { id }: Pick<DeliveryFacts, 'id'>): boolean {
  return pod.metadata?.annotations?.[MESSAGE] === id
}
export function isOf(pod: Pod, delivery: Pick<DeliveryFacts, 'id' | 'attempt'>): boolean {
  const attempt = pod.metadata?.annotations?.[ATTEMPT]
  return isFor(pod, delivery) && attempt === String(delivery.attempt)
}

/** How a pod ended. */
export interface Fate {
  /**
   * `lost`: its node vanished or someone removed it, which is not the track's fault. `given back`: its exit
   * code says that the message has to be delivered again, or that its configuration is wrong.
   */
  readonly kind: 'succeeded' | 'given back' | 'lost' | 'out of memory' | 'failed'
  /** The reason, as a sentence. */
  readonly reason: string
}

export function isEnded({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed'
}

/** How a pod ended; undefined while it has not ended. */
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
  // A configuration that a pod cannot start with is no fault of its track.
  if (ended?.exitCode === GIVEN_BACK || ended?.exitCode === CONFIG_EXIT)
    return { kind: 'given back', reason }
  if (ended?.exitCode === ABORTED) return { kind: 'out of memory', reason }
  return { kind: 'failed', reason }
}

/** The reasons that kubelets, the scheduler and the node controller give for pods that were not at fault. */
const LOST =
  /^(Evicted|NodeLost|NodeShutdown|NodeAffinity|Terminated|Shutdown|Preempting|Preempted|UnexpectedAdmissionError|OutOf\w+)$/

/** When the pod ended, ms since 1970. If that is not known, when it started or was created, or 0. */
export function endedAt({ status, metadata }: Pod): number {
  const ended = status?.containerStatuses?.[0]?.state?.terminated?.finishedAt
  return timeOf(ended) ?? timeOf(status?.startTime) ?? timeOf(metadata?.creationTimestamp) ?? 0
}

/** Converts a time of the API to ms since 1970. */
export function timeOf(time: Date | string | undefined): number | undefined {
  return time === undefined || time === null ? undefined : new Date(time).getTime()
}
