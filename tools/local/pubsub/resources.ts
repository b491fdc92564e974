import { isLoopback } from '#shared/frame/door.ts'
import { Fault } from './fault.ts'

/** As google.protobuf.Duration. */
interface Duration {
  readonly seconds?: number
  readonly nanos?: number
}

/** The fields of google.pubsub.v1.Topic that this server keeps. */
export interface TopicConfig {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly messageRetentionDuration?: Duration
  readonly state?: string
}

/** The fields of google.pubsub.v1.Subscription that this server keeps. */
export interface SubscriptionConfig {
  readonly name: string
  readonly topic: string
  readonly ackDeadlineSeconds: number
  readonly messageRetentionDuration: Duration
  readonly labels?: Readonly<Record<string, string>>
  readonly expirationPolicy?: { readonly ttl?: Duration }
  readonly deadLetterPolicy?: {
    readonly deadLetterTopic: string
    readonly maxDeliveryAttempts: number
  }
  readonly retryPolicy?: {
    readonly minimumBackoff: Duration
    readonly maximumBackoff: Duration
  }
  /** Where its messages are pushed to; without, they are pulled. */
  readonly pushConfig?: { readonly pushEndpoint: string }
  /** Whether it is detached: it receives nothing any more, and its messages are dropped. */
  readonly detached?: boolean
  readonly state?: string
}

/** google.pubsub.v1.Snapshot. */
export interface SnapshotConfig {
  readonly name: string
  readonly topic: string
  /** As google.protobuf.Timestamp. */
  readonly expireTime: { readonly seconds: number; readonly nanos: number }
  readonly labels?: Readonly<Record<string, string>>
}

/** The longest back-off that a retry policy may have, s. */
export const MAX_BACKOFF_SECONDS = 600

export const DELETED_TOPIC = '_deleted-topic_'

// Names: https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
const NAME = '[A-Za-z][A-Za-z0-9_.~+%-]{2,254}'
const TOPIC = new RegExp(`^projects/[^/]+/topics/(?!goog)${NAME}$`)
const SUBSCRIPTION = new RegExp(`^projects/[^/]+/subscriptions/(?!goog)${NAME}$`)
const PATTERNS = {
  topic: TOPIC,
  subscription: SUBSCRIPTION,
  snapshot: new RegExp(`^projects/[^/]+/snapshots/(?!goog)${NAME}$`),
}

const REFUSED_OF_TOPICS = [
  'kmsKeyName',
  'schemaSettings',
  'ingestionDataSourceSettings',
  'messageTransforms',
]
const REFUSED_OF_SUBSCRIPTIONS = [
  'bigqueryConfig',
  'cloudStorageConfig',
  'bigtableConfig',
  'retainAckedMessages',
  'enableMessageOrdering',
  'filter',
  'detached',
  'enableExactlyOnceDelivery',
  'messageTransforms',
]

/** Checks the configuration of a topic. @throws Fault */
export function topicConfig(asked: Record<string, unknown>): TopicConfig {
  const name = String(asked.name ?? '')
  if (!TOPIC.test(name)) throw new Fault('INVALID_ARGUMENT', badName('topic', name))
  refuse(asked, REFUSED_OF_TOPICS, 'topics')
  const retention = asked.messageRetentionDuration as Duration | undefined
  if (retention) within(seconds(retention), 600, 31 * 86_400, 'messageRetentionDuration')
  return {
    name,
    ...labels(asked),
    ...(retention && { messageRetentionDuration: retention }),
    state: 'ACTIVE',
  }
}

/** Checks the configuration of a subscription, and fills in Pub/Sub's defaults. @throws Fault */
export function subscriptionConfig(asked: Record<string, unknown>): SubscriptionConfig {
  const name = String(asked.name ?? '')
  const topic = String(asked.topic ?? '')
  if (!SUBSCRIPTION.test(name))
    throw new Fault('INVALID_ARGUMENT', badName('subscription', name))
  if (!TOPIC.test(topic) && topic !== DELETED_TOPIC)
    throw new Fault('INVALID_ARGUMENT', badName('topic', topic))
  refuse(asked, REFUSED_OF_SUBSCRIPTIONS, 'subscriptions')
  const ackDeadlineSeconds = Number(asked.ackDeadlineSeconds || 10)
  within(ackDeadlineSeconds, 10, 600, 'ackDeadlineSeconds')
  const retention = (asked.messageRetentionDuration as Duration) ?? { seconds: 604_800 }
  within(seconds(retention), 600, 31 * 86_400, 'messageRetentionDuration')
  const expiration = asked.expirationPolicy as SubscriptionConfig['expirationPolicy']
  if (expiration?.ttl)
    within(seconds(expiration.ttl), 86_400, 365 * 86_400, 'expirationPolicy.ttl')
  return {
    name,
    topic,
    ackDeadlineSeconds,
    messageRetentionDuration: retention,
    ...labels(asked),
    ...(expiration && { expirationPolicy: expiration }),
    ...deadLetterPolicy(asked.deadLetterPolicy),
    ...retryPolicy(asked.retryPolicy),
    ...pushConfig(asked.pushConfig),
    state: 'ACTIVE',
  }
}

/** Checks the full name of a resource. @throws Fault when it is malformed. */
export function checkName(kind: keyof typeof PATTERNS, name: string): void {
  if (!PATTERNS[kind].test(name)) throw new Fault('INVALID_ARGUMENT', badName(kind, name))
}

export function seconds(duration: Duration): number {
  return Number(duration.seconds ?? 0) + (duration.nanos ?? 0) / 1e9
}

/**
 * The back-off after an attempt, ms; it doubles with each attempt:
 * https://cloud.google.com/pubsub/docs/handling-failures#exponential_backoff
 */
export function backOffMs(
  policy: NonNullable<SubscriptionConfig['retryPolicy']>,
  attempt: number,
): number {
  const minimum = seconds(policy.minimumBackoff) * 1000
  const maximum = seconds(policy.maximumBackoff) * 1000
  return Math.min(maximum, minimum * 2 ** (attempt - 1))
}

function deadLetterPolicy(asked: unknown): Pick<SubscriptionConfig, 'deadLetterPolicy'> {
  const policy = asked as Partial<SubscriptionConfig['deadLetterPolicy']>
  if (!policy?.deadLetterTopic) return {}
  if (!TOPIC.test(policy.deadLetterTopic))
    throw new Fault('INVALID_ARGUMENT', badName('topic', policy.deadLetterTopic))
  const maxDeliveryAttempts = Number(policy.maxDeliveryAttempts || 5)
  within(maxDeliveryAttempts, 5, 100, 'deadLetterPolicy.maxDeliveryAttempts')
  return {
    deadLetterPolicy: { deadLetterTopic: policy.deadLetterTopic, maxDeliveryAttempts },
  }
}

function retryPolicy(asked: unknown): Pick<SubscriptionConfig, 'retryPolicy'> {
  const policy = asked as Partial<SubscriptionConfig['retryPolicy']>
  if (!policy) return {}
  const minimumBackoff = policy.minimumBackoff ?? { seconds: 10 }
  const maximumBackoff = policy.maximumBackoff ?? { seconds: MAX_BACKOFF_SECONDS }
  within(seconds(minimumBackoff), 0, 600, 'retryPolicy.minimumBackoff')
  within(
    seconds(maximumBackoff),
    seconds(minimumBackoff),
    600,
    'retryPolicy.maximumBackoff (at least the minimum)',
  )
  return { retryPolicy: { minimumBackoff, maximumBackoff } }
}

/**
 * Endpoints on this machine only: who reaches the port of this server could else send requests into its network.
 * @throws Fault
 */
function pushConfig(asked: unknown): Pick<SubscriptionConfig, 'pushConfig'> {
  const config = (asked ?? {}) as Record<string, unknown>
  const endpoint = String(config.pushEndpoint ?? '')
  if (endpoint === '') return {}
  refuse(config, ['oidcToken', 'noWrapper'], 'push subscriptions')
  const url = URL.parse(endpoint)
  if (
    url === null ||
    !isLoopback(url.hostname) ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== ''
  )
    throw new Fault(
      'INVALID_ARGUMENT',
      `Invalid push endpoint: ${JSON.stringify(endpoint.slice(0, 300))}. Expected http:// or https:// on a name of this machine's loopback, such as 127.0.0.1, without a user.`,
    )
  return { pushConfig: { pushEndpoint: endpoint } }
}

// https://cloud.google.com/pubsub/docs/create-topic-labels#label_format_requirements
const LABEL_KEY = /^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u
const LABEL_VALUE = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u

/** @throws Fault */
export function labels(asked: Record<string, unknown>): { labels?: Record<string, string> } {
  const given = asked.labels as Record<string, string> | undefined
  const entries = Object.entries(given ?? {})
  within(entries.length, 0, 64, 'the number of labels')
  for (const [key, value] of entries)
    if (!LABEL_KEY.test(key) || !LABEL_VALUE.test(value))
      throw new Fault(
        'INVALID_ARGUMENT',
        `Not a label: ${JSON.stringify(`${key}=${value}`.slice(0, 200))}. Up to 63 small letters, digits, - and _ on each side, a letter first.`,
      )
  return entries.length > 0 ? { labels: { ...given } } : {}
}

// Proto3 omits fields with their default value, so that a field which is present was set by the client.
function refuse(asked: Record<string, unknown>, fields: readonly string[], what: string): void {
  for (const field of fields) {
    const value = asked[field]
    if (value && !(Array.isArray(value) && value.length === 0))
      throw new Fault('FAILED_PRECONDITION', `This server has no ${field} for ${what}.`)
  }
}

function within(value: number, low: number, high: number, what: string): void {
  if (!(value >= low && value <= high))
    throw new Fault('INVALID_ARGUMENT', `${what} must be between ${low} and ${high}: ${value}.`)
}

function badName(kind: keyof typeof PATTERNS, name: string): string {
  return (
    `Invalid ${kind} name: ${JSON.stringify(name.slice(0, 300))}. ` +
    `Expected projects/PROJECT/${kind}s/NAME with a NAME of 3 to 255 letters, digits and -_.~+%, ` +
    'that begins with a letter and not with "goog".'
  )
}
