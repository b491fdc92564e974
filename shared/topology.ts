import { ROUTE_PATTERN } from './names.ts'

/** The stages that each route has topics of its own for. */
export const STAGES = ['stage', 'analyze', 'encode'] as const
export type Stage = (typeof STAGES)[number]

/** The route whose topics carry no suffix. */
export const DEFAULT_ROUTE = 'cloud'

export interface SubscriptionSpec {
  readonly name: string
  readonly topic: string
  /** Lease that the server grants at first, seconds. */
  readonly ackDeadlineSeconds: number
  /** Deliveries before the server itself dead-letters; absent: never. The net for crashes only. */
  readonly maxDeliveryAttempts?: number
  readonly minBackoffSeconds: number
  readonly maxBackoffSeconds: number
  readonly retentionSeconds: number
}

export interface Topology {
  readonly topics: readonly string[]
  readonly deadLetterTopic: string
  readonly subscriptions: readonly SubscriptionSpec[]
}

export const DEAD_LETTER_TOPIC = 'dead-letter'
const RETENTION_SECONDS = 31 * 86_400

/** The topic, and the subscription of the same name, of one stage of one route. */
export function stageTopic(stage: Stage, route: string): string {
  if (!new RegExp(ROUTE_PATTERN).test(route)) throw new TypeError(`not a route: ${route}`)
  return route === DEFAULT_ROUTE ? stage : `${stage}-${route}`
}

/** All topics and subscriptions of a deployment with these routes: no filters, no ordering. */
export function topology(
  routes: readonly string[],
  backoff: { readonly minSeconds: number; readonly maxSeconds: number } = {
    minSeconds: 10,
    maxSeconds: 600,
  },
): Topology {
  const consumed = [
    'ingest',
    ...routes.flatMap((route) => STAGES.map((stage) => stageTopic(stage, route))),
    'publish',
    'events',
  ]
  const common = {
    ackDeadlineSeconds: 30,
    minBackoffSeconds: backoff.minSeconds,
    maxBackoffSeconds: backoff.maxSeconds,
    retentionSeconds: RETENTION_SECONDS,
  }
  return {
    topics: [...consumed, 'published', DEAD_LETTER_TOPIC],
    deadLetterTopic: DEAD_LETTER_TOPIC,
    subscriptions: [
      ...consumed.map((topic) => ({
        name: topic,
        topic,
        ...common,
        maxDeliveryAttempts: 50,
      })),
      { name: 'published', topic: 'published', ...common },
      { name: DEAD_LETTER_TOPIC, topic: DEAD_LETTER_TOPIC, ...common },
    ],
  }
}
