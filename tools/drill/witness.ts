import type { Bus, Delivery, Outgoing, Subscriber } from '#shared/bus/bus.ts'
import type { PubsubBus } from '#shared/bus/pubsub.ts'
import { Events, type StepEvent } from '#shared/contracts/messages/event.ts'
import { Published } from '#shared/contracts/messages/published.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { DEAD_LETTER_TOPIC } from '#shared/contracts/topology.ts'
import { localTopology } from '../local/chain-settings.ts'

/** An event, and when the drill heard of it, ms since the epoch. */
export type Heard = StepEvent & { readonly heardMs: number }

/** A message as it was published, and where. */
export interface Captured extends Outgoing {
  readonly topic: string
}

/** Hears all that a chain publishes, by subscriptions of its own. */
export interface Witness {
  /** Each once, in the order in which they were heard. */
  readonly events: readonly Heard[]
  /** Announcements by track, by their id, copies left out. */
  readonly announced: ReadonlyMap<string, ReadonlyMap<string, Published>>
  /** When each track was announced first, ms since the epoch. */
  readonly announcedMs: ReadonlyMap<string, number>
  /** Announcements that came once more under the same id. */
  readonly announcedAgain: number
  /** Dead letters by the track that they name, each content once. */
  readonly letters: ReadonlyMap<string, ReadonlySet<string>>
  /** The latest messages of the steps. */
  readonly captured: readonly Captured[]
  /** When anything was heard last, and when last of progress, ms since the epoch. */
  readonly heardMs: number
  readonly progressMs: number
  close(): Promise<void>
}

const OF_DRILL = 'drill-'
/** Messages that are kept for copying. */
const MAX_CAPTURED = 400

/** Subscribes to every topic of the chain. Call it before anything is submitted. */
export async function witness(bus: PubsubBus): Promise<Witness> {
  const { subscriptions, ...topology } = localTopology()
  await bus.ensure({
    ...topology,
    subscriptions: subscriptions.map(({ maxDeliveryAttempts: _, ...spec }) => ({
      ...spec,
      name: OF_DRILL + spec.topic,
      // What comes again is wanted at once: nothing is done with it.
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
      // The same message once more: its ack was lost.
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
    // What the steps are told may be copied and put into another order.
    ...CHAIN.map((topic) =>
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
    ...{ announced, announcedMs, letters, captured },
    async close() {
      await Promise.all(ears.map((ear) => ear.close()))
    },
  }
}

function subscribe(bus: Bus, topic: string, hear: (delivery: Delivery) => void): Subscriber {
  // Links that break are what a drill is about: the subscriber goes on by itself.
  const options = { concurrency: 100, longestMs: 5_000, onError: () => {} }
  return bus.subscribe(OF_DRILL + topic, options, async (delivery) => {
    hear(delivery)
    return 'ack'
  })
}

/** Without those that the server adds, which may not be published again. */
function own(attributes: Delivery['attributes']): Record<string, string> {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => !/^goog/i.test(key)))
}

function ensured<V>(map: Map<string, V>, key: string, make: () => V): V {
  const found = map.get(key) ?? make()
  map.set(key, found)
  return found
}

/** No sign that the work goes on. */
const NO_PROGRESS: readonly string[] = ['again', 'restarted', 'swept']

/** Whether an event says that something got on. */
export function isProgress({ verdict }: { readonly verdict: string }): boolean {
  return !NO_PROGRESS.includes(verdict)
}
