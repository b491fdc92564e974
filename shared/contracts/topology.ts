import { DEFAULT_LANE, LANES, type Lane } from './lanes.ts'
import { ROUTE_PATTERN } from './names.ts'
import { STAGES, type Stage } from './stages.ts'

/** The route whose topics carry no suffix. */
export const DEFAULT_ROUTE = 'cloud'

export interface SubscriptionSpec {
  readonly name: string
  readonly topic: string
  /** The first lease that the server grants, seconds. */
  readonly ackDeadlineSeconds: number
  /** The server dead-letters a message after this many deliveries: the safety net for crashes. Absent: never. */
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
/** What is complete, for subscribers outside. */
export const CALLBACKS_TOPIC = 'callbacks'

/** The topic, and the subscription of the same name, of one stage of one route and lane. */
export function stageTopic(stage: Stage, route: string, lane: Lane): string {
  if (!new RegExp(ROUTE_PATTERN).test(route)) throw new TypeError(`not a route: ${route}`)
  return laneTopic(route === DEFAULT_ROUTE ? stage : `${stage}-${route}`, lane)
}

/** The topic of ended runs of a lane, of all routes, and its subscription. */
export function publishTopic(lane: Lane): string {
  return laneTopic('publish', lane)
}

// No name of a route has a dot.
function laneTopic(topic: string, lane: Lane): string {
  return lane === DEFAULT_LANE ? topic : `${topic}.${lane}`
}

/** The step that consumes a subscription; the name itself if it is not one of ours. */
export function stepOf(subscription: string): string {
  if (subscription === 'events') return 'recorder'
  const [name = subscription] = subscription.split('.')
  return STAGES.find((each) => `${name}-`.startsWith(`${each}-`)) ?? name
}

/** Settings of subscriptions that differ between a cloud and one machine. */
interface SubscriptionSettings {
  /** The wait before a message that was given back comes again, s. It doubles from the first to the second. */
  readonly minSeconds: number
  readonly maxSeconds: number
  /** How long Pub/Sub keeps a message that is not acked, seconds. */
  readonly retentionSeconds: number
}

const CLOUD = { minSeconds: 10, maxSeconds: 600, retentionSeconds: 31 * 86_400 }
/** Settings for one machine: early retries harm no other system, and Google's emulator keeps messages for 7 days. */
export const ONE_MACHINE = { minSeconds: 1, maxSeconds: 60, retentionSeconds: 7 * 86_400 }

/** All topics and subscriptions of a deployment with these routes: no filters, no ordering. */
export function topology(
  routes: readonly string[],
  { minSeconds, maxSeconds, retentionSeconds }: SubscriptionSettings = CLOUD,
): Topology {
  const consumed = [
    'ingest',
    ...routes.flatMap((route) =>
      LANES.flatMap((lane) => STAGES.map((stage) => stageTopic(stage, route, lane))),
    ),
    ...LANES.map(publishTopic),
    'events',
  ]
  const common = {
    ackDeadlineSeconds: 30,
    minBackoffSeconds: minSeconds,
    maxBackoffSeconds: maxSeconds,
    retentionSeconds,
  }
  return {
    topics: [...consumed, 'published', CALLBACKS_TOPIC, DEAD_LETTER_TOPIC],
    deadLetterTopic: DEAD_LETTER_TOPIC,
    subscriptions: [
      ...consumed.map((topic) => ({
        name: topic,
        topic,
        ...common,
        maxDeliveryAttempts: 50,
      })),
      { name: 'published', topic: 'published', ...common },
      { name: CALLBACKS_TOPIC, topic: CALLBACKS_TOPIC, ...common },
      { name: DEAD_LETTER_TOPIC, topic: DEAD_LETTER_TOPIC, ...common },
    ],
  }
}
