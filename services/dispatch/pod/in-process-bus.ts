import { MAX_RESTARTS } from '#shared/assets/end-run.ts'
import { backOff } from '#shared/async/retry.ts'
import type { Bus, Delivery, Settlement } from '#shared/bus/bus.ts'

type Handler = (delivery: Delivery) => Promise<Settlement>

/**
 * How long a message that is given back is retried in this process, ms. After that the pod gives the whole run
 * back to the dispatcher.
 */
const PATIENCE_MS = 60_000
const PAUSE = { firstMs: 1000, mostMs: 10_000 }

interface InProcessBus {
  /** Keeps messages to the topics of this process in memory, and publishes all others on the outer bus. */
  readonly bus: Bus
  /**
   * Passes a message, and all messages that follow from it on these topics, to their handlers, at most `atOnce`
   * at a time.
   * @returns `given back` when a message could not be handled within `patienceMs` or the process is stopping;
   * outputs that were made by then remain in the stores
   */
  follow(
    handlers: ReadonlyMap<string, Handler>,
    first: { readonly topic: string; readonly delivery: Delivery },
    options: {
      readonly atOnce: number
      readonly stopping: AbortSignal
      readonly patienceMs?: number
    },
  ): Promise<'done' | 'given back'>
}

/** Creates a bus that carries the messages between the steps of a route within one process, without Pub/Sub. */
export function inProcessBus(outer: Bus, topics: readonly string[]): InProcessBus {
  const waiting: { topic: string; delivery: Delivery }[] = []
  let last = 0
  let attempt = 1
  const bus: Bus = {
    ...outer,
    async publish(topic, message) {
      if (!topics.includes(topic)) return outer.publish(topic, message)
      const id = `own-${++last}`
      waiting.push({ topic, delivery: { ...message, id, attempt, published: new Date() } })
      return id
    },
  }
  return {
    bus,
    async follow(handlers, first, { atOnce, stopping, patienceMs = PATIENCE_MS }) {
      attempt = first.delivery.attempt
      waiting.push(first)
      const running = new Set<Promise<void>>()
      let isGivenBack = false
      const work = async ({ topic, delivery }: typeof first) => {
        const handler = handlers.get(topic)
        if (handler === undefined)
          throw new Error(`the topic ${topic} has no handler in this process`)
        const pause = backOff(PAUSE)
        const until = performance.now() + patienceMs
        for (let again = 0; ; again++) {
          // Retries in this process follow each other quickly, so only the first few count as attempts.
          const counted = delivery.attempt + Math.min(again, MAX_RESTARTS)
          if ((await handler({ ...delivery, attempt: counted })) === 'ack') return
          if (stopping.aborted || performance.now() > until) break
          await pause.wait(stopping).catch(() => {})
        }
        isGivenBack = true
      }
      for (;;) {
        while (
          running.size < atOnce &&
          waiting.length > 0 &&
          !isGivenBack &&
          !stopping.aborted
        ) {
          const next = waiting.shift() as typeof first
          const done: Promise<void> = work(next).finally(() => running.delete(done))
          running.add(done)
        }
        if (running.size === 0) return isGivenBack || waiting.length > 0 ? 'given back' : 'done'
        await Promise.race(running)
      }
    },
  }
}
