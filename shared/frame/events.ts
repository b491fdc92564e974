import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { batching } from '../async/batch.ts'
import type { Bus } from '../bus/bus.ts'
import { Events, type StepEvent } from '../contracts/messages/event.ts'
import { send } from './step.ts'

/** How long an event may wait for company, ms: short against a step, long enough to fill a message. */
const GATHER_MS = 10
const MOST = 200

/** Publishes events, many to a message. */
export interface EventSink {
  /** Resolves when the event is accepted by Pub/Sub for good: settle the delivery after that. */
  report(event: StepEvent): Promise<void>
}

export function eventSink(bus: Bus): EventSink {
  const report = batching<StepEvent, void>(
    async (events) => {
      const { topic, data, attributes } = send('events', Events, { events: [...events] })
      await bus.publish(topic, { data, attributes })
      return []
    },
    { most: MOST, gatherMs: GATHER_MS },
  )
  return { report }
}

/** Host and process, so that a history says where a step ran. */
const WORKER = `${hostname()}/${process.pid}`

/** An event at its birth: its id is made here, once, so that every copy of it is the same event. */
export function newEvent(
  step: string,
  attempt: number,
): Pick<StepEvent, 'id' | 'at' | 'step' | 'attempt' | 'worker'> {
  return { id: randomUUID(), at: new Date().toISOString(), step, attempt, worker: WORKER }
}
