/** Reads what a Pub/Sub server has, to check a deployment. Changes nothing. */
export interface PubsubInspector {
  /** Whether there is a topic of this short name. */
  topic(name: string): Promise<Inspected<true>>
  subscription(name: string): Promise<Inspected<SubscriptionFound>>
  /** The IAM policy of this resource: which members have which roles. Roles granted on the project are not in it. */
  grants(of: Resource, name: string): Promise<Inspected<readonly Grant[]>>
  /** The permissions, of those listed, that the caller's identity has, no matter where they were granted. */
  allowed(
    of: Resource,
    name: string,
    permissions: readonly string[],
  ): Promise<Inspected<readonly string[]>>
  close(): Promise<void>
}

export type Resource = 'topic' | 'subscription'

/** `missing`: no such resource. `denied`: the caller may not read it. `unknown`: the server has no such method. */
type Refused = 'missing' | 'denied' | 'unknown'

/** What was found, or why the server refused to answer. */
export type Inspected<T> =
  | { readonly found: T; readonly refused?: never }
  | { readonly found?: never; readonly refused: Refused }

/** A subscription as the server describes it. Topics have their full names (`projects/…/topics/…`). */
export interface SubscriptionFound {
  readonly topic: string
  readonly ackDeadlineSeconds: number
  readonly retentionSeconds: number
  /** The subscription is deleted after this many seconds without use; undefined: never. */
  readonly expiresAfterSeconds: number | undefined
  readonly deadLetter: { readonly topic: string; readonly attempts: number } | undefined
  readonly backoff: { readonly minSeconds: number; readonly maxSeconds: number } | undefined
  /** The filter of messages; empty when there is none. */
  readonly filter: string
  readonly isOrdered: boolean
  readonly isExactlyOnce: boolean
  /** Whether it can be pulled: neither pushed, nor exported, nor detached from its topic. */
  readonly isPulled: boolean
}

export interface Grant {
  readonly role: string
  readonly members: readonly string[]
}

/** gRPC's NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED. */
const REFUSALS = new Map<unknown, Refused>([
  [5, 'missing'],
  [7, 'denied'],
  [12, 'unknown'],
])

/** Maps an answer of the server, or its refusal. @throws other errors: a dead link, a server that is down. */
export async function attempt<T, R>(
  asked: Promise<T>,
  as: (answer: T) => R,
): Promise<Inspected<R>> {
  try {
    return { found: as(await asked) }
  } catch (error) {
    const refused = REFUSALS.get((error as { code?: unknown }).code)
    if (refused === undefined) throw error
    return { refused }
  }
}

type Maybe<T> = T | null | undefined
type ApiDuration = Maybe<{ seconds?: unknown; nanos?: Maybe<number> }>

/** The fields of google.pubsub.v1.Subscription that are read here. */
interface ApiSubscription {
  readonly topic?: Maybe<string>
  readonly ackDeadlineSeconds?: Maybe<number>
  readonly messageRetentionDuration?: ApiDuration
  readonly expirationPolicy?: Maybe<{ ttl?: ApiDuration }>
  readonly deadLetterPolicy?: Maybe<{
    deadLetterTopic?: Maybe<string>
    maxDeliveryAttempts?: Maybe<number>
  }>
  readonly retryPolicy?: Maybe<{ minimumBackoff?: ApiDuration; maximumBackoff?: ApiDuration }>
  readonly filter?: Maybe<string>
  readonly enableMessageOrdering?: Maybe<boolean>
  readonly enableExactlyOnceDelivery?: Maybe<boolean>
  readonly pushConfig?: Maybe<{ pushEndpoint?: Maybe<string> }>
  readonly bigqueryConfig?: Maybe<{ table?: Maybe<string> }>
  readonly cloudStorageConfig?: Maybe<{ bucket?: Maybe<string> }>
  readonly detached?: Maybe<boolean>
}

/** Pub/Sub's default when no expiration policy is set: 31 days. A policy without a time to live means never. */
const EXPIRATION_UNSET = { seconds: 31 * 86_400 }

/** Maps a subscription of the Pub/Sub API. */
export function described(resource: ApiSubscription): SubscriptionFound {
  const { deadLetterPolicy: letters, retryPolicy: retry, expirationPolicy } = resource
  const expires = expirationPolicy ? expirationPolicy.ttl : EXPIRATION_UNSET
  return {
    topic: resource.topic ?? '',
    ackDeadlineSeconds: resource.ackDeadlineSeconds ?? 0,
    retentionSeconds: seconds(resource.messageRetentionDuration),
    expiresAfterSeconds: expires ? seconds(expires) : undefined,
    deadLetter: letters?.deadLetterTopic
      ? { topic: letters.deadLetterTopic, attempts: letters.maxDeliveryAttempts ?? 0 }
      : undefined,
    backoff: retry
      ? { minSeconds: seconds(retry.minimumBackoff), maxSeconds: seconds(retry.maximumBackoff) }
      : undefined,
    filter: resource.filter ?? '',
    isOrdered: resource.enableMessageOrdering === true,
    isExactlyOnce: resource.enableExactlyOnceDelivery === true,
    isPulled: !(
      resource.pushConfig?.pushEndpoint ||
      resource.bigqueryConfig?.table ||
      resource.cloudStorageConfig?.bucket ||
      resource.detached
    ),
  }
}

function seconds(duration: ApiDuration): number {
  return Number(duration?.seconds ?? 0) + (duration?.nanos ?? 0) / 1e9
}

interface ApiBinding {
  readonly role?: Maybe<string>
  readonly members?: Maybe<string[]>
  readonly condition?: unknown
}

/** The bindings of a policy that always hold. Bindings with a condition are left out. */
export function grantsOf(bindings: readonly ApiBinding[]): readonly Grant[] {
  return bindings
    .filter(({ condition }) => !condition)
    .map(({ role, members }) => ({ role: role ?? '', members: members ?? [] }))
}
