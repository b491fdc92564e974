import type { Delivery, Subscriber } from '#shared/bus/bus.ts'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
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
