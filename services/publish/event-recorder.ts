import { batching } from '#shared/async/batch.ts'
import type { Bus, Delivery, Settlement } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { Events, type StepEvent } from '#shared/contracts/messages/event.ts'
import { DEAD_LETTER_TOPIC } from '#shared/contracts/topology.ts'
import { setAsideAs } from '#shared/frame/dead-letter.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import type { Additions } from './commit-metrics.ts'

/** Maximum number of messages whose events are written together. */
const MAX_BATCH = 50
/** How long a message may wait for other messages to fill the batch, ms. */
const GATHER_MS = 20

/**
 * The handler of the `events` subscription. It commits each event once and reports no events of its own. While
 * the database is down, history is late; the steps are not delayed.
 */
export function eventsHandler({
  bus,
  record,
  log,
}: {
  bus: Bus
  /** Commits the events of one message. */
  record: (events: readonly StepEvent[]) => Promise<void>
  log: Log
}): (delivery: Delivery) => Promise<Settlement> {
  return async (delivery) => {
    try {
      const { events } = Events.parse(delivery.data)
      await record(events)
      return 'ack'
    } catch (error) {
      const { attempt } = delivery
      log.warn({ error: sentence(error), attempt }, 'events could not be recorded')
      if (!(error instanceof PermanentError)) return 'nack'
      try {
        await bus.publish(DEAD_LETTER_TOPIC, setAsideAs(delivery, 'recorder', error))
        return 'ack'
      } catch {
        return 'nack'
      }
    }
  }
}

/** Returns a function that commits the events of a message, together with those of others. */
export function eventRecorder(
  database: Database,
  additions?: Pick<Additions, 'recorded'>,
): (events: readonly StepEvent[]) => Promise<void> {
  return batching<readonly StepEvent[], void>(
    async (messages) => {
      for (const count of await recordEvents(database, messages.flat()))
        additions?.recorded(count)
      return []
    },
    { most: MAX_BATCH, gatherMs: GATHER_MS },
  )
}
