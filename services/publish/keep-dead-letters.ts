import type { Delivery, Settlement } from '#shared/bus/bus.ts'
import type { Database } from '#shared/catalogue/database.ts'
import { keepLetter } from '#shared/catalogue/letters/keep-letter.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import { uuidFrom } from '#shared/contracts/names.ts'
import { type DeadLetter, readLetter } from '#shared/frame/dead-letter.ts'
import { type EventSink, newEvent } from '#shared/frame/events.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import type { Additions } from './commit-metrics.ts'

/**
 * The handler of the `dead-letter` subscription. It stores each letter in the catalogue once; from then on,
 * operators find the letter and act on it there. For a message that Pub/Sub itself dead-lettered (`CRASHED`) no
 * step has reported an event, so this handler reports one.
 */
export function keepDeadLetters({
  database,
  events,
  log,
  additions,
}: {
  database: Database
  events: EventSink
  log: Log
  additions?: Pick<Additions, 'kept'>
}): (delivery: Delivery) => Promise<Settlement> {
  return async (delivery) => {
    try {
      const letter = readLetter(delivery)
      if (await keepLetter(database, letter)) additions?.kept(letter.step)
      if (letter.code === 'CRASHED') await events.report(crashed(letter))
      return 'ack'
    } catch (error) {
      const { id, attempt } = delivery
      const line = { error: sentence(error), message_id: id, attempt }
      log.warn(line, 'a dead letter could not be kept')
      return 'nack'
    }
  }
}

/** Builds the event of a crash. Its id is the same for each copy of the letter. */
function crashed({ id, published, step, attempt, code, reason, job }: DeadLetter): StepEvent {
  return {
    ...newEvent(step, attempt),
    id: uuidFrom(`crashed:${id}`),
    at: published.toISOString(),
    ...(job && { job: job.id, track: job.request.asset_guid, run: job.run }),
    verdict: 'dead-lettered',
    units: [],
    ms: 0,
    code,
    sentence: reason,
  }
}
