import type { Delivery, Subscriber } from '#shared/bus/bus.ts'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import { json } from '#shared/contracts/message.ts'
import { CHAIN } from '#shared/contracts/stages.ts'

/** Every topic that a track passes, and what is announced of it. */
export const TOPICS = [...CHAIN, 'events', 'published']

/** Hears all messages of a topic by a subscription of its own. */
export async function listen(
  bus: PubsubBus,
  topic: string,
  onMessage: (message: Pick<Delivery, 'data' | 'attributes'>) => void,
): Promise<Subscriber> {
  const name = `bench-${topic}`
  const subscription = {
    name,
    topic,
    ackDeadlineSeconds: 30,
    retentionSeconds: 3600,
    minBackoffSeconds: 1,
    maxBackoffSeconds: 1,
  }
  await bus.ensure({ topics: [], deadLetterTopic: topic, subscriptions: [subscription] })
  const onError = (error: Error) => console.error(error.message)
  return bus.subscribe(
    name,
    { concurrency: 1000, longestMs: 10_000, onError },
    async (delivery) => {
      onMessage(delivery)
      return 'ack'
    },
  )
}

/** Hears what is announced: `at` has when each was first, by the field that names it. */
export function hearAnnounced(
  bus: PubsubBus,
  field: 'request_id' | 'asset_guid',
): { readonly at: ReadonlyMap<string, number>; readonly ear: Subscriber } {
  const at = new Map<string, number>()
  const onError = (error: Error) => console.error(error.message)
  const ear = bus.subscribe(
    'published',
    { concurrency: 1000, longestMs: 10_000, onError },
    async ({ data }) => {
      const name = (json(data, 'published') as Record<typeof field, string>)[field]
      if (!at.has(name)) at.set(name, performance.now())
      return 'ack'
    },
  )
  return { at, ear }
}
