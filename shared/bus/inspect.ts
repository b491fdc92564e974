/** A look at what a Pub/Sub server has, for whoever checks a deployment. */
export interface PubsubLook {
  /** Whether there is such a topic. */
  topic(name: string): Promise<Looked<true>>
  subscription(name: string): Promise<Looked<SubscriptionFound>>
  /** Who may do what by the policy of this very resource; what is granted on the project is not in it. */
  grants(of: Resource, name: string): Promise<Looked<readonly Grant[]>>
  /** Those of the permissions that this identity has, wherever they were granted. */
  allowed(
    of: Resource,
    name: string,
    permissions: readonly string[],
  ): Promise<Looked<readonly string[]>>
  close(): Promise<void>
}

export type Resource = 'topic' | 'subscription'

/** `missing`: there is no such resource. `denied`: this identity may not look. `unknown`: the server has no such method. */
type Refused = 'missing' | 'denied' | 'unknown'

export type Looked<T> =
  | { readonly found: T; readonly refused?: never }
  | { readonly found?: never; readonly refused: Refused }

/** A subscription as the server describes it. Topics by their full names. */
export interface SubscriptionFound {
  readonly topic: string
  readonly ackDeadlineSeconds: number
  readonly retentionSeconds: number
  /** Of disuse, after which it is deleted; undefined: never. */
  readonly expiresAfterSeconds: number | undefined
  readonly deadLetter: { readonly topic: string; readonly attempts: number } | undefined
  readonly backoff: { readonly minSeconds: number; readonly maxSeconds: number } | undefined
  /** Empty: none. */
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

/** @throws what is no answer: a dead link, a server that is down. */
export async function looked<T, R>(
  asked: Promise<T>,
  as: (answer: T) => R,
): Promise<Looked<R>> {
  try {
    return { found: as(await asked) }
  } catch (error) {
    const refused = REFUSALS.get((error as { code?: unknown }).code)
    if (refused === undefined) throw error
    return { refused }
  }
}

type Maybe<T> = T | null | undefined
type DurationTold = Maybe<{ seconds?: unknown; nanos?: Maybe<number> }>

/** google.pubsub.v1.Subscription, as far as it matters. */
interface SubscriptionTold {
  readonly topic?: Maybe<string>
  readonly ackDeadlineSeconds?: Maybe<number>
  readonly messageRetentionDuration?: DurationTold
  readonly expirationPolicy?: Maybe<{ ttl?: DurationTold }>
  readonly deadLetterPolicy?: Maybe<{
    deadLetterTopic?: Maybe<string>
    maxDeliveryAttempts?: Maybe<number>
  }>
  readonly retryPolicy?: Maybe<{ minimumBackoff?: DurationTold; maximumBackoff?: DurationTold }>
  readonly filter?: Maybe<string>
  readonly enableMessageOrdering?: Maybe<boolean>
  readonly enableExactlyOnceDelivery?: Maybe<boolean>
  readonly pushConfig?: Maybe<{ pushEndpoint?: Maybe<string> }>
  readonly bigqueryConfig?: Maybe<{ table?: Maybe<string> }>
  readonly cloudStorageConfig?: Maybe<{ bucket?: Maybe<string> }>
  readonly detached?: Maybe<boolean>
}

/** What is not set at all: 31 days. What is set without a time: never. */
const EXPIRATION_UNSET = { seconds: 31 * 86_400 }

export function described(told: SubscriptionTold): SubscriptionFound {
  const { deadLetterPolicy: letters, retryPolicy: retry, expirationPolicy } = told
  const expires = expirationPolicy ? expirationPolicy.ttl : EXPIRATION_UNSET
  return {
    topic: told.topic ?? '',
    ackDeadlineSeconds: told.ackDeadlineSeconds ?? 0,
    retentionSeconds: seconds(told.messageRetentionDuration),
    expiresAfterSeconds: expires ? seconds(expires) : undefined,
    deadLetter: letters?.deadLetterTopic
      ? { topic: letters.deadLetterTopic, attempts: letters.maxDeliveryAttempts ?? 0 }
      : undefined,
    backoff: retry
      ? { minSeconds: seconds(retry.minimumBackoff), maxSeconds: seconds(retry.maximumBackoff) }
      : undefined,
    filter: told.filter ?? '',
    isOrdered: told.enableMessageOrdering === true,
    isExactlyOnce: told.enableExactlyOnceDelivery === true,
    isPulled: !(
      told.pushConfig?.pushEndpoint ||
      told.bigqueryConfig?.table ||
      told.cloudStorageConfig?.bucket ||
      told.detached
    ),
  }
}

function seconds(duration: DurationTold): number {
  return Number(duration?.seconds ?? 0) + (duration?.nanos ?? 0) / 1e9
}

interface BindingTold {
  readonly role?: Maybe<string>
  readonly members?: Maybe<string[]>
  readonly condition?: unknown
}

/** The bindings that hold at any time: without a condition. */
export function grantsOf(bindings: readonly BindingTold[]): readonly Grant[] {
  return bindings
    .filter(({ condition }) => !condition)
    .map(({ role, members }) => ({ role: role ?? '', members: members ?? [] }))
}
