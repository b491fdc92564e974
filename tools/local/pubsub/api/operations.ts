import protobuf from 'protobufjs'
import type { Broker } from '../broker.ts'
import { Fault } from '../fault.ts'
import type { Lease } from '../lease.ts'
import type { SnapshotConfig, SubscriptionConfig, TopicConfig } from '../resources.ts'
import type { Method } from './protos.ts'

type Request = Record<string, unknown>

/** An administrative method: plain request in, plain response out, for gRPC and REST alike. */
export type Operation = (request: Request) => object

/** The message and the attempt that an acknowledgement id names. */
export interface AckId {
  readonly id: number
  readonly attempt: number
}

/**
 * How long a pull waits for the first message, ms: short enough for a person who types `gcloud pubsub subscriptions
 * pull`.
 */
const PULL_WAIT_MS = 5_000
const PAGE_SIZE = 1000

/** The methods that are called seldom. Publishing, pulling and settling are in the front ends. */
export function operations(
  broker: Broker,
  methods: readonly Method[],
): Record<string, Operation> {
  const typeOf = (name: string) =>
    methods.find((method) => method.name === name)?.response as protobuf.Type
  const [topicType, subscriptionType] = [typeOf('GetTopic'), typeOf('GetSubscription')]
  const snapshotType = typeOf('GetSnapshot')
  return {
    CreateTopic: (request) => broker.createTopic(request),
    GetTopic: (request) => broker.topic(String(request.topic)),
    UpdateTopic: (request) => {
      const { topic, updateMask } = request as { topic: Request; updateMask?: Mask }
      const old = broker.topic(String(topic?.name))
      return broker.updateTopic(merge(old, topic ?? {}, updateMask, topicType, OF_TOPICS))
    },
    DeleteTopic: (request) => {
      broker.deleteTopic(String(request.topic))
      return {}
    },
    ListTopics: (request) => page(request, 'topics', within(request.project, broker.topics())),
    ListTopicSubscriptions: (request) => {
      const { name } = broker.topic(String(request.topic))
      const of = broker.subscriptions().filter((each) => each.topic === name && !each.detached)
      return page(request, 'subscriptions', of.map(nameOf))
    },
    ListTopicSnapshots: (request) => {
      const { name } = broker.topic(String(request.topic))
      const of = broker.snapshots.all().filter((snapshot) => snapshot.topic === name)
      return page(request, 'snapshots', of.map(nameOf))
    },
    CreateSnapshot: (request) => broker.snapshots.create(request),
    GetSnapshot: (request) => broker.snapshots.get(String(request.snapshot)),
    UpdateSnapshot: (request) => {
      const { snapshot, updateMask } = request as { snapshot: Request; updateMask?: Mask }
      const old = broker.snapshots.get(String(snapshot?.name))
      return broker.snapshots.update(
        merge(old, snapshot ?? {}, updateMask, snapshotType, OF_SNAPSHOTS),
      )
    },
    DeleteSnapshot: (request) => {
      broker.snapshots.remove(String(request.snapshot))
      return {}
    },
    ListSnapshots: (request) =>
      page(request, 'snapshots', within(request.project, broker.snapshots.all())),
    ListSchemas: () => ({ schemas: [] }),
    // This server has no IAM: every caller has every permission.
    GetIamPolicy: (request) => {
      checkExists(broker, String(request.resource))
      return { version: 0, bindings: [] }
    },
    TestIamPermissions: (request) => {
      checkExists(broker, String(request.resource))
      return { permissions: request.permissions ?? [] }
    },
    CreateSubscription: (request) => broker.createSubscription(request),
    GetSubscription: (request) => broker.subscription(String(request.subscription)),
    UpdateSubscription: (request) => {
      const { subscription, updateMask } = request as {
        subscription: Request
        updateMask?: Mask
      }
      const config = broker.subscription(String(subscription?.name))
      return broker.updateSubscription(
        merge(config, subscription ?? {}, updateMask, subscriptionType, OF_SUBSCRIPTIONS),
      )
    },
    // https://cloud.google.com/pubsub/docs/replay-overview
    Seek: (request) => {
      const subscription = String(request.subscription)
      const queue = broker.queue(subscription)
      const time = request.time as { seconds?: number; nanos?: number } | undefined
      if (request.snapshot) broker.snapshots.restore(subscription, String(request.snapshot))
      else if (!time)
        throw new Fault('INVALID_ARGUMENT', 'Seek to what? A time or a snapshot is missing.')
      else queue.seek(Number(time.seconds ?? 0) * 1000 + (time.nanos ?? 0) / 1e6)
      return {}
    },
    ModifyPushConfig: ({ subscription, pushConfig }) => {
      broker.updateSubscription({ ...broker.subscription(String(subscription)), pushConfig })
      return {}
    },
    DetachSubscription: (request) => {
      broker.detachSubscription(String(request.subscription))
      return {}
    },
    DeleteSubscription: (request) => {
      broker.deleteSubscription(String(request.subscription))
      return {}
    },
    ListSubscriptions: (request) =>
      page(request, 'subscriptions', within(request.project, broker.subscriptions())),
  }
}

/**
 * Leases up to `max` messages. Answers at once when there are any or the caller does not wait; else as soon as
 * there are, or with none after 5 s. @returns a function that cancels the request.
 */
export function pull(
  broker: Broker,
  request: { subscription: string; max: number; wait: boolean },
  answer: (leases: Lease[]) => void,
): () => void {
  const queue = broker.pulledQueue(request.subscription)
  if (!(request.max > 0)) throw new Fault('INVALID_ARGUMENT', 'maxMessages must be positive.')
  if (!request.wait) {
    queue.pump()
    answer(queue.lease(request.max))
    return () => {}
  }
  const timer = setTimeout(() => {
    withdraw()
    answer([])
  }, PULL_WAIT_MS).unref()
  const withdraw = queue.pull(request.max, (leases) => {
    clearTimeout(timer)
    answer(leases)
  })
  return () => {
    clearTimeout(timer)
    withdraw()
  }
}

export function ackId(lease: AckId): string {
  return `${lease.id}-${lease.attempt}`
}

/** @throws Fault when the text is not an acknowledgement id of this server. */
export function parseAckId(text: string): AckId {
  const dash = text.indexOf('-')
  const id = Number(text.slice(0, dash))
  const attempt = Number(text.slice(dash + 1))
  if (dash < 1 || !Number.isSafeInteger(id) || !Number.isSafeInteger(attempt))
    throw new Fault('INVALID_ARGUMENT', `Not an acknowledgement id: ${JSON.stringify(text)}`)
  return { id, attempt }
}

export function checkDeadline(leaseSeconds: number): void {
  if (!(leaseSeconds >= 0 && leaseSeconds <= 600))
    throw new Fault(
      'INVALID_ARGUMENT',
      `An acknowledgement deadline must be between 0 and 600 s: ${leaseSeconds}.`,
    )
}

/** @returns the ids. @throws Fault when there are none. */
export function someAckIds<T>(ids: readonly T[]): readonly T[] {
  if (ids.length > 0) return ids
  throw new Fault('INVALID_ARGUMENT', 'No acknowledgement ids are given.')
}

interface Mask {
  readonly paths?: readonly string[]
}

/** The fields that an update may change. */
const OF_TOPICS = [
  ...['labels', 'messageRetentionDuration', 'messageStoragePolicy', 'kmsKeyName'],
  ...['schemaSettings', 'ingestionDataSourceSettings', 'messageTransforms'],
]
const OF_SUBSCRIPTIONS = [
  ...['ackDeadlineSeconds', 'deadLetterPolicy', 'expirationPolicy', 'labels'],
  ...['messageRetentionDuration', 'pushConfig', 'retainAckedMessages', 'retryPolicy'],
  ...['bigqueryConfig', 'bigtableConfig', 'cloudStorageConfig', 'enableExactlyOnceDelivery'],
  ...['filter', 'messageTransforms'],
]
const OF_SNAPSHOTS = ['labels']

/**
 * The old configuration with the fields that the mask names taken from `asked`.
 * @throws Fault when the mask names an unknown or fixed field.
 */
function merge(
  old: TopicConfig | SubscriptionConfig | SnapshotConfig,
  asked: Request,
  mask: Mask | undefined,
  type: protobuf.Type,
  changeable: readonly string[],
): Request {
  if (!mask?.paths?.length)
    throw new Fault('INVALID_ARGUMENT', 'The update mask is empty: nothing is to be changed.')
  const merged: Request = { ...old }
  for (const path of mask.paths) {
    const [name = '', inner, ...rest] = path
      .replace(/_([a-z])/g, (_, c: string) => c.toUpperCase())
      .split('.')
    const field = type.fields[name]?.resolve()
    const nested = field?.resolvedType instanceof protobuf.Type ? field.resolvedType : undefined
    const isKnown =
      field !== undefined &&
      rest.length === 0 &&
      (inner === undefined || nested?.fields[inner] !== undefined)
    if (!isKnown)
      throw new Fault(
        'INVALID_ARGUMENT',
        `The update mask is wrong: a ${type.name} has no field ${JSON.stringify(path.slice(0, 200))}.`,
      )
    if (!changeable.includes(name))
      throw new Fault(
        'INVALID_ARGUMENT',
        `The field ${name} of a ${type.name} can't be changed.`,
      )
    merged[name] =
      inner === undefined
        ? asked[name]
        : { ...(merged[name] as Request), [inner]: (asked[name] as Request)?.[inner] }
  }
  return merged
}

/** @throws Fault NOT_FOUND */
function checkExists(broker: Broker, resource: string): void {
  if (resource.includes('/topics/')) broker.topic(resource)
  else if (resource.includes('/subscriptions/')) broker.subscription(resource)
  else if (resource.includes('/snapshots/')) broker.snapshots.get(resource)
  else throw new Fault('NOT_FOUND', `Resource does not exist: ${resource.slice(0, 300)}`)
}

function within<T extends { readonly name: string }>(project: unknown, all: T[]): T[] {
  return all.filter(({ name }) => name.startsWith(`${project}/`))
}

function nameOf({ name }: { readonly name: string }): string {
  return name
}

function page(request: Request, key: string, all: readonly unknown[]): object {
  const from = Number(request.pageToken || 0)
  const size = Number(request.pageSize || PAGE_SIZE)
  if (!Number.isSafeInteger(from) || from < 0)
    throw new Fault('INVALID_ARGUMENT', 'The page token is not one of ours.')
  const next = from + size < all.length ? { nextPageToken: String(from + size) } : {}
  return { [key]: all.slice(from, from + size), ...next }
}
