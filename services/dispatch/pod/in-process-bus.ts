import { MAX_RESTARTS } from '#shared/assets/end-run.ts'
import { backOff } from '#shared/async/retry.ts'
import type { Bus, Delivery, Settlement } from '#shared/bus/bus.ts'

type Handler = (delivery: Delivery) => Promise<Settlement>

/** What is given back is tried again here for so long, ms; then it is the dispatcher's to wait. */
const PATIENCE_MS = 60_000
const PAUSE = { firstMs: 1000, mostMs: 10_000 }

interface InProcessBus {
  /** Publishes as the given one does, but for the topics that are followed here. */
  readonly bus: Bus
  /**
   * Takes a message, and all that follows from it on these topics, through their handlers, so many at a time.
   * `given back`: some of it could not be done now, or there was no time; what was done is not lost.
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

/** The topics of a route within one process: what a step sends to the next one waits here and in no queue. */
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
        if (handler === undefined) throw new Error(`nobody here follows ${topic}`)
        const pause = backOff(PAUSE)
        const until = performance.now() + patienceMs
        for (let again = 0; ; again++) {
          // Retries are quick here: they do not count as those that the queue has waited between.
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
