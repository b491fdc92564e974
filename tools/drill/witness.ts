import type { Bus, Delivery, Outgoing, Subscriber } from '#shared/bus/bus.ts'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import { Events, type StepEvent } from '#shared/contracts/messages/event.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { DEAD_LETTER_TOPIC } from '#shared/contracts/topology.ts'
import { localTopology } from '../local/chain-settings.ts'

/** An event, and when the drill received it, ms since the epoch. */
export type Heard = Pick<
  StepEvent,
  'at' | 'step' | 'verdict' | 'job' | 'run' | 'attempt' | 'worker' | 'ms'
> & { readonly units: readonly string[]; readonly heardMs: number }

/** A message as it was published, and its topic. */
export interface Captured extends Outgoing {
  readonly topic: string
}

/** Receives all that a chain publishes, by subscriptions of its own. */
export interface Witness {
  /** Each event once, in the order of arrival. */
  readonly events: readonly Heard[]
  /** Announcements by track and by id, without copies. */
  readonly announced: ReadonlyMap<string, ReadonlyMap<string, Published>>
  /** When each track was announced first, ms since the epoch. */
  readonly announcedMs: ReadonlyMap<string, number>
  /** Number of announcements that came again under the same id. */
  readonly announcedAgain: number
  /** Dead letters by the track that they name, one for each content. */
  readonly letters: ReadonlyMap<string, ReadonlySet<string>>
  /** The latest messages of the steps. */
  readonly captured: readonly Captured[]
  /** When the last message, and when the last sign of progress, was received, ms since the epoch. */
  readonly heardMs: number
  readonly progressMs: number
  close(): Promise<void>
}

const OF_DRILL = 'drill-'
/** Topics that no step of the chain consumes. */
const HEARD: readonly string[] = ['events', 'published', DEAD_LETTER_TOPIC]
/** The most messages that are kept for copying. */
const MAX_CAPTURED = 400

/** Subscribes to every topic of the chain. Call it before anything is submitted. */
export async function witness(bus: PubsubBus): Promise<Witness> {
  const { subscriptions, ...topology } = localTopology()
  await bus.ensure({
    ...topology,
    subscriptions: subscriptions.map(({ maxDeliveryAttempts: _, ...spec }) => ({
      ...spec,
      name: OF_DRILL + spec.topic,
      // Redeliveries need no back-off: the drill does no work on them.
      minBackoffSeconds: 0,
      maxBackoffSeconds: 1,
    })),
  })
  const events = new Map<string, Heard>()
  const announced = new Map<string, Map<string, Published>>()
  const announcedMs = new Map<string, number>()
  const letters = new Map<string, Set<string>>()
  const captured: Captured[] = []
  const heardOnce = new Set<string>()
  const counts = { announcedAgain: 0, heardMs: Date.now(), progressMs: Date.now() }

  const listen = (topic: string, hear: (delivery: Delivery) => void): Subscriber =>
    subscribe(bus, topic, (delivery) => {
      // A redelivery of the same message: its ack was lost.
      if (heardOnce.has(delivery.id)) return
      heardOnce.add(delivery.id)
      counts.heardMs = Date.now()
      hear(delivery)
    })
  const ears = [
    listen('events', ({ data }) => {
      for (const event of Events.parse(data).events) {
        if (events.has(event.id)) continue
        events.set(event.id, { ...event, heardMs: Date.now() })
        if (isProgress(event)) counts.progressMs = Date.now()
      }
    }),
    listen('published', ({ data }) => {
      const message = Published.parse(data)
      const known = ensured(announced, message.asset_guid, () => new Map<string, Published>())
      if (known.has(message.id)) counts.announcedAgain++
      known.set(message.id, message)
      if (!announcedMs.has(message.asset_guid)) announcedMs.set(message.asset_guid, Date.now())
    }),
    listen(DEAD_LETTER_TOPIC, ({ data, attributes }) => {
      const body = data.toString()
      const track = /"asset_guid":"([^"]+)"/.exec(body)?.[1] ?? ''
      const code = attributes.dead_letter_code ?? 'CRASHED'
      ensured(letters, track, () => new Set<string>()).add(`${code} ${body}`)
    }),
    // Messages to the steps may be copied, and published in another order.
    ...topology.topics
      .filter((topic) => !HEARD.includes(topic))
      .map((topic) =>
        listen(topic, ({ data, attributes }) => {
          captured.push({ topic, data, attributes: own(attributes) })
          if (captured.length > MAX_CAPTURED) captured.shift()
        }),
      ),
  ]
  return {
    get events() {
      return [...events.values()]
    },
    get announcedAgain() {
      return counts.announcedAgain
    },
    get heardMs() {
      return counts.heardMs
    },
    get progressMs() {
      return counts.progressMs
    },
    announced,
    announcedMs,
    letters,
    captured,
    async close() {
      await Promise.all(ears.map((ear) => ear.close()))
    },
  }
}

function subscribe(bus: Bus, topic: string, hear: (delivery: Delivery) => void): Subscriber {
  // In a drill links break: the subscriber reconnects by itself.
  const options = { concurrency: 100, longestMs: 5_000, onError: () => {} }
  return bus.subscribe(OF_DRILL + topic, options, async (delivery) => {
    hear(delivery)
    return 'ack'
  })
}

/** The attributes without those that the server adds, which may not be published again. */
function own(attributes: Delivery['attributes']): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => !/^goog/i.test(key)))
}

function ensured<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key) ?? make()
  map.set(key, found)
  return found
}

/** Verdicts that are no progress. */
const NO_PROGRESS: readonly string[] = ['retry', 'restarted', 'swept']

/** Whether an event is a sign of progress. */
export function isProgress({ verdict }: { readonly verdict: string }): boolean {
  return !NO_PROGRESS.includes(verdict)
}
