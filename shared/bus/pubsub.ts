import {
  Duration,
  type PublishOptions,
  PubSub,
  type SubscriberOptions,
  SubscriptionCloseBehaviors,
  type Topic,
} from '@google-cloud/pubsub'
import type { SubscriptionSpec, Topology } from '../contracts/topology.ts'
import type { Bus, SubscribeOptions } from './bus.ts'
import { attempt, described, grantsOf, type PubsubInspector, type Resource } from './inspect.ts'
import { StreamSubscriber } from './subscriber.ts'

export interface PubsubBusOptions {
  readonly projectId: string
  /** `host:port` of a local server or an emulator: no credentials, no encryption. Absent: the cloud. */
  readonly endpoint?: string
  /** The bearer token for that server. Default: none is sent; likewise when empty. */
  readonly token?: string
  /**
   * The topics and subscriptions to create again when that server has lost them: an emulator forgets everything, and
   * so does a server whose file is gone. Do not set it for the cloud.
   */
  readonly topology?: Topology
  /** How long a publish is retried while the link is down, ms. Default: 30,000. */
  readonly publishTimeoutMs?: number
  /** The length of a lease, and of each extension during work: 10 to 600 s. Default: 16 s. */
  readonly leaseSeconds?: number
}

/** A bus on Pub/Sub, which can also create its topics and subscriptions. */
export interface PubsubBus extends Bus {
  /**
   * Creates the missing topics and subscriptions of a topology and leaves the others as they are. For the local server
   * and the emulator; in the cloud Terraform creates them.
   * @throws when the server refuses, or does not answer for a minute.
   */
  ensure(topology: Topology): Promise<void>
}

/** Acks wait this long to share a request, ms. It is short: the server sends no new message before it has the acks. */
const ACK_BATCH_MS = 10
const PUBLISH_BATCH_MS = 2
/** The client library nacks running messages this long before the close timeout, ms: its FINAL_NACK_TIMEOUT. */
const FINAL_NACK_MS = 1000
const CONNECT_MS = 10_000
const RETRY_MAX_MS = 5000
const PING_MS = 5000
/** The default lease, s. The library extends it at a random moment, at the latest after 0.9 of it less one second. */
const LEASE_SECONDS = 16
/** gRPC's CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE. Any other code is an answer of the server. */
const NO_ANSWER = [1, 2, 4, 13, 14]

/**
 * A bus on Cloud Pub/Sub, the local server or the emulator, by Google's client library. The library's defaults lose
 * acks at shutdown, lease far more messages than are worked on, and notice a dead link only after five minutes. The
 * comments below say what is set instead, and why.
 *
 * With `endpoint` no credentials are needed or looked for. Without it, but outside Google's cloud, start the process
 * with METADATA_SERVER_DETECTION=none; otherwise the library first looks for a metadata server.
 */
export function pubsubBus(options: PubsubBusOptions): PubsubBus {
  const pubsub = clientFor(options)
  const publishOptions = publishOptionsFor(options.publishTimeoutMs ?? 30_000)
  const topics = new Map<string, Topic>()
  const topic = (name: string): Topic => {
    const known = topics.get(name)
    if (known) return known
    const made = pubsub.topic(name, publishOptions)
    topics.set(name, made)
    return made
  }
  const inFlight = new Set<Promise<string>>()
  const leaseSeconds = options.leaseSeconds ?? LEASE_SECONDS
  const ensure = async (topology: Topology) => {
    await Promise.all(topology.topics.map((name) => unlessExists(pubsub.createTopic(name))))
    const deadLetterTopic = topic(topology.deadLetterTopic).name
    await Promise.all(
      topology.subscriptions.map((spec) =>
        unlessExists(
          pubsub.createSubscription(spec.topic, spec.name, metadata(spec, deadLetterTopic)),
        ),
      ),
    )
  }
  let making: Promise<void> | undefined
  /** Creates the topology again if the error is NOT_FOUND. @returns whether it now exists. */
  const made = async (error: unknown): Promise<boolean> => {
    const { topology } = options
    if ((error as { code?: unknown }).code !== NOT_FOUND || topology === undefined) return false
    making ??= ensure(topology).finally(() => {
      making = undefined
    })
    return making.then(
      () => true,
      () => false,
    )
  }
  return {
    publish(name, { data, attributes }) {
      const publishing = topic(name)
        .publishMessage({ data, attributes })
        .catch(async (error: unknown) => {
          if (!(await made(error))) throw error
          return topic(name).publishMessage({ data, attributes })
        })
      inFlight.add(publishing)
      const done = () => inFlight.delete(publishing)
      publishing.then(done, done)
      return publishing
    },
    subscribe(name, subscribing, handler) {
      const clientOptions = subscriberOptions(subscribing, leaseSeconds)
      const open = () => pubsub.subscription(name, clientOptions)
      const onError = (error: Error) => {
        void made(error)
        subscribing.onError(error)
      }
      return new StreamSubscriber(open, { ...subscribing, onError }, handler)
    },
    ensure,
    async ping() {
      try {
        await topic('events').getMetadata({ timeout: PING_MS, retry: null })
      } catch (error) {
        const { code } = error as { code?: number }
        if (code === undefined || NO_ANSWER.includes(code)) throw error
      }
    },
    async close() {
      await Promise.allSettled(inFlight)
      await pubsub.close()
    },
  }
}

/** Inspects what a server has. Each call takes `timeoutMs` at most. Changes nothing and pulls nothing. */
export function pubsubInspector(
  options: Pick<PubsubBusOptions, 'projectId' | 'endpoint' | 'token'>,
  timeoutMs: number,
): PubsubInspector {
  const pubsub = clientFor(options)
  // No retries: the caller wants to know what is wrong now, not to wait until it is mended.
  const once = { timeout: timeoutMs, retry: { retryCodes: [] } }
  const at = (of: Resource, name: string) =>
    of === 'topic' ? pubsub.topic(name) : pubsub.subscription(name)
  return {
    topic: (name) => attempt(pubsub.topic(name).getMetadata(once), () => true as const),
    subscription: (name) =>
      attempt(pubsub.subscription(name).getMetadata(once), ([resource]) => described(resource)),
    async grants(of, name) {
      const { found, refused } = await attempt(
        at(of, name).iam.getPolicy(once),
        ([policy]) => policy,
      )
      if (found === undefined) return { refused }
      // A real IAM's policy always has an etag, even when it is empty of bindings; the local server has no IAM.
      return found.etag?.length
        ? { found: grantsOf(found.bindings ?? []) }
        : { refused: 'unknown' }
    },
    allowed: (of, name, permissions) =>
      attempt(at(of, name).iam.testPermissions([...permissions], once), ([allowed]) =>
        permissions.filter((permission) => allowed[permission]),
      ),
    close: () => pubsub.close(),
  }
}

function clientFor({ projectId, endpoint, token = '' }: PubsubBusOptions): PubSub {
  return new PubSub({
    projectId,
    ...(endpoint !== undefined && local(endpoint)),
    ...(token !== '' && { 'grpc.callInvocationTransformer': bearing(token) }),
    // A dead link is noticed after 40 s; the library's default is over five minutes.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // A server that was away for a moment is found again within seconds; the default goes up to 2 min.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': RETRY_MAX_MS,
  } as ConstructorParameters<typeof PubSub>[0])
}

/** Placeholder credentials for a local server. Without them the library spends seconds on finding a metadata server. */
function local(endpoint: string) {
  const credentials = { client_email: 'nobody', private_key: 'never used' }
  return { apiEndpoint: endpoint, emulatorMode: true, credentials }
}

/** Adds the bearer token to each call, because the library refuses credentials on a link without encryption. */
function bearing(token: string) {
  return <T extends { metadata: { set(key: string, value: string): void } }>(call: T): T => {
    call.metadata.set('authorization', `Bearer ${token}`)
    return call
  }
}

function subscriberOptions(options: SubscribeOptions, leaseSeconds: number): SubscriberOptions {
  const { concurrency, prefetch = 0, longestMs } = options
  // A message may wait for the messages before it, and then run. Its lease is extended for both.
  const rounds = 1 + Math.ceil(prefetch / concurrency)
  const wait = longestMs + 1000 + FINAL_NACK_MS
  return {
    minAckDeadline: Duration.from({ seconds: leaseSeconds }),
    maxAckDeadline: Duration.from({ seconds: leaseSeconds }),
    maxExtensionTime: Duration.from({ millis: rounds * longestMs + wait }),
    // By default close() would give back what is running, and drop its acks.
    closeOptions: {
      behavior: SubscriptionCloseBehaviors.WaitForProcessing,
      timeout: Duration.from({ millis: wait }),
    },
    // The server bounds the messages on lease per stream, hence one stream. The library hands over all it gets,
    // because messages that it held back itself would be neither run nor nacked when closing.
    flowControl: { maxMessages: concurrency + prefetch, allowExcessMessages: true },
    streamingOptions: {
      maxStreams: 1,
      // How long the first connection may take before the fault is reported. The library's default is five minutes.
      timeout: CONNECT_MS,
      retryMaxBackoff: Duration.from({ millis: RETRY_MAX_MS }),
    },
    batching: { maxMilliseconds: ACK_BATCH_MS },
  }
}

function publishOptionsFor(timeoutMs: number): PublishOptions {
  return {
    batching: { maxMilliseconds: PUBLISH_BATCH_MS, maxMessages: 1000, maxBytes: 4 << 20 },
    // The library's own retries go on for ten minutes, with pauses of up to one minute.
    gaxOpts: {
      retry: {
        backoffSettings: {
          initialRetryDelayMillis: 100,
          retryDelayMultiplier: 1.5,
          maxRetryDelayMillis: 2000,
          initialRpcTimeoutMillis: timeoutMs,
          rpcTimeoutMultiplier: 1,
          maxRpcTimeoutMillis: timeoutMs,
          totalTimeoutMillis: timeoutMs,
        },
      },
    },
  }
}

function metadata(spec: SubscriptionSpec, deadLetterTopic: string) {
  return {
    ackDeadlineSeconds: spec.ackDeadlineSeconds,
    messageRetentionDuration: { seconds: spec.retentionSeconds },
    expirationPolicy: {},
    retryPolicy: {
      minimumBackoff: duration(spec.minBackoffSeconds),
      maximumBackoff: duration(spec.maxBackoffSeconds),
    },
    ...(spec.maxDeliveryAttempts !== undefined && {
      deadLetterPolicy: { deadLetterTopic, maxDeliveryAttempts: spec.maxDeliveryAttempts },
    }),
  }
}

function duration(seconds: number): { seconds: number; nanos: number } {
  const whole = Math.floor(seconds)
  return { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) }
}

const NOT_FOUND = 5
const ALREADY_EXISTS = 6

async function unlessExists(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if ((error as { code?: unknown }).code !== ALREADY_EXISTS) throw error
  }
}
