import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { batching } from '../async/batch.ts'
import type { Bus } from '../bus/bus.ts'
import { Events, type StepEvent } from '../contracts/messages/event.ts'
import { send } from './step.ts'

/** How long an event waits for others to share a message, ms: short for a step, long enough to fill a message. */
const GATHER_MS = 10
/** The maximum number of events in one message. */
const MAX_EVENTS = 200

/** Publishes events, many in one message. */
export interface EventSink {
  /** Resolves when Pub/Sub has stored the event. Settle the delivery only after that. */
  report(event: StepEvent): Promise<void>
}

/** Publishes events on the topic `events`. */
export function eventSink(bus: Bus): EventSink {
  const report = batching<StepEvent, void>(
    async (events) => {
      const { topic, data, attributes } = send('events', Events, { events: [...events] })
      await bus.publish(topic, { data, attributes })
      return []
    },
    { most: MAX_EVENTS, gatherMs: GATHER_MS },
  )
  return { report }
}

/** Host and process id, so that a history shows where a step ran. */
const WORKER = `${hostname()}/${process.pid}`

/** A new event. Its id is created here, once, so that all copies of it are the same event. */
export function newEvent(
  step: string,
  attempt: number,
): Pick<StepEvent, 'id' | 'at' | 'step' | 'attempt' | 'worker'> {
  return { id: randomUUID(), at: new Date().toISOString(), step, attempt, worker: WORKER }
}
