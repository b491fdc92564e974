import type { Bus, Delivery, Settlement } from '#shared/bus/bus.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { Events, type StepEvent } from '#shared/contracts/messages/event.ts'
import { DEAD_LETTER_TOPIC } from '#shared/contracts/topology.ts'
import { setAsideAs } from '#shared/frame/dead-letter.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'

/**
 * The handler of the `events` subscription. It commits each event once and reports no events of its own. While
 * the database is down, history is late; the steps are not delayed.
 */
export function recording({
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
