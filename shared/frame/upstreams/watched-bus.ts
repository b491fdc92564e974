import type { Bus } from '../../bus/bus.ts'
import type { Breaker } from './breaker.ts'

/** gRPC's status for an invalid message: it is too large or has too many attributes. */
const INVALID_ARGUMENT = 3

/** Wraps a bus: its faults are reported to the breaker, which pauses its subscribers while any upstream is down. */
export function watchedBus(bus: Bus, breaker: Breaker): Bus {
  const pubsub = breaker.upstream('Pub/Sub')
  const probe = () => bus.ping()
  return {
    ...bus,
    publish(topic, message) {
      const isExpected = (error: unknown) =>
        (error as { code?: unknown }).code === INVALID_ARGUMENT
      return pubsub.call(() => bus.publish(topic, message), { probe, isExpected, kind: topic })
    },
    subscribe(subscription, options, handler) {
      const onError = (error: Error) => {
        pubsub.failed(error, { probe, kind: 'pull' })
        options.onError(error)
      }
      return breaker.guard(bus.subscribe(subscription, { ...options, onError }, handler))
    },
  }
}
