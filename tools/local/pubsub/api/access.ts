import { createHash, timingSafeEqual } from 'node:crypto'
import type { Broker } from '../broker.ts'
import { Fault } from '../fault.ts'

/**
 * The topics and subscriptions that belong to the chain alone, by full names: `projects/P/topics/T`,
 * `projects/P/subscriptions/S`.
 */
export interface Reserved {
  /** Bearer token of the chain's own services. */
  readonly token: string
  readonly topics: readonly string[]
  readonly subscriptions: readonly string[]
  /** Topics among these that every client may publish to. */
  readonly publish: readonly string[]
  /** Topics among these whose messages every client may receive, by a subscription of its own or by the chain's. */
  readonly receive: readonly string[]
}

type Request = Record<string, unknown>
export type Guard = (method: string, request: object, authorization: string | undefined) => void

/**
 * Makes the access check. Every client may read, and may do everything with topics and subscriptions that are not
 * reserved; the rest needs the token.
 * @returns a check that throws Fault PERMISSION_DENIED
 */
export function guarding(broker: Broker, reserved: Reserved | undefined): Guard {
  if (reserved === undefined) return () => {}
  const topics = new Set(reserved.topics)
  const subscriptions = new Set(reserved.subscriptions)
  const token = digest(reserved.token)
  const isOwn = (topic: unknown) => topics.has(String(topic))
  const isClosed = (topic: unknown) => isOwn(topic) && !reserved.receive.includes(String(topic))
  const topicOf = (subscription: unknown) => broker.topicOf(String(subscription))
  const receiving = ({ subscription }: Request) => isClosed(topicOf(subscription))
  const changing = (subscription: unknown) =>
    subscriptions.has(String(subscription)) || isClosed(topicOf(subscription))
  const keeping = (snapshot: unknown) => isClosed(broker.topicOf(String(snapshot)))
  /** A dead-letter policy publishes to its topic, also for a client that may not publish there itself. */
  const lettering = (asked: Request | undefined) =>
    isOwn((asked?.deadLetterPolicy as Request | undefined)?.deadLetterTopic)
  const rules: Readonly<Record<string, (request: Request) => boolean>> = {
    Publish: ({ topic }) => isOwn(topic) && !reserved.publish.includes(String(topic)),
    CreateTopic: ({ name }) => isOwn(name),
    UpdateTopic: ({ topic }) => isOwn((topic as Request | undefined)?.name),
    DeleteTopic: ({ topic }) => isOwn(topic),
    CreateSubscription: (asked) =>
      subscriptions.has(String(asked.name)) || isClosed(asked.topic) || lettering(asked),
    UpdateSubscription: ({ subscription }) =>
      changing((subscription as Request | undefined)?.name) ||
      lettering(subscription as Request | undefined),
    DeleteSubscription: ({ subscription }) => changing(subscription),
    ModifyPushConfig: ({ subscription }) => changing(subscription),
    DetachSubscription: ({ subscription }) => changing(subscription),
    Seek: ({ subscription }) => changing(subscription),
    CreateSnapshot: ({ subscription }) => changing(subscription),
    UpdateSnapshot: ({ snapshot }) => keeping((snapshot as Request | undefined)?.name),
    DeleteSnapshot: ({ snapshot }) => keeping(snapshot),
    Pull: receiving,
    StreamingPull: receiving,
    Acknowledge: receiving,
    ModifyAckDeadline: receiving,
  }
  return (method, request, authorization) => {
    if (rules[method]?.(request as Request) !== true) return
    const given = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1] ?? ''
    if (timingSafeEqual(digest(given), token)) return
    const names = (list: readonly string[]) => list.map((name) => name.split('/').at(-1))
    throw new Fault(
      'PERMISSION_DENIED',
      `${method} is for the chain's own services here, which have its token. Others may publish to ` +
        `${names(reserved.publish).join(', ')}, receive from ${names(reserved.receive).join(', ')}, ` +
        'look, and do as they like with topics of their own.',
    )
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
