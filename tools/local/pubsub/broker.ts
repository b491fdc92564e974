import { publishable, withAttributes } from './api/body.ts'
import { steadyNow } from './clock.ts'
import { Fault } from './fault.ts'
import type { Journal } from './journal.ts'
import type { Consumer, Entry, Host, QueueHandle } from './lease.ts'
import { Queue } from './queue.ts'
import {
  checkName,
  DELETED_TOPIC,
  type SubscriptionConfig,
  subscriptionConfig,
  type TopicConfig,
  topicConfig,
} from './resources.ts'
import { Snapshots } from './snapshots.ts'
import { Wheel } from './timer-wheel.ts'

interface Topic {
  config: TopicConfig
  readonly queues: Queue[]
}

interface BrokerOptions {
  /** Called when the journal fails. Nothing is durable from then on: the process should end. */
  readonly onFatal: (error: Error) => void
  /** Makes what pushes the messages of a queue to an endpoint. Default: nothing is pushed. */
  readonly push?: (queue: Queue, endpoint: string) => Consumer
  /** The most bytes of bodies that all subscriptions together keep in memory. Default: 64 MiB. */
  readonly cacheBytes?: number
}

const RETENTION_SWEEP_MS = 60_000

/**
 * Topics, subscriptions and messages: a state machine over a journal, independent of wire formats. The writes of one
 * turn of the event loop are committed at its end, in one transaction. `committed` calls back after that, so that no
 * caller gets an answer that a crash could revoke.
 *
 * A message id is the time of publication in microseconds since the epoch, or the next free number when that is taken:
 * it records when the message was published, never repeats, and sorts.
 */
export class Broker {
  readonly #topics = new Map<string, Topic>()
  readonly #queues = new Map<string, Queue>()
  readonly #pushes = new Map<Queue, { readonly endpoint: string; readonly to: Consumer }>()
  readonly #push: BrokerOptions['push']
  readonly snapshots: Snapshots
  readonly #journal: Journal
  readonly #host: Host
  readonly #onFatal: (error: Error) => void
  readonly #sweep: NodeJS.Timeout
  readonly #awake = new Set<QueueHandle>()
  #answers: (() => void)[] = []
  #scheduled = false
  #closed = false
  #lastId: number

  constructor(journal: Journal, options: BrokerOptions) {
    this.#journal = journal
    this.#onFatal = options.onFatal
    this.#push = options.push
    this.#lastId = journal.lastId()
    this.#host = {
      journal,
      wheel: new Wheel<Entry>((entry, now) => entry.queue.expired(entry, now)),
      cache: { limit: options.cacheBytes ?? 64 << 20, used: 0 },
      wake: (queue) => {
        this.#awake.add(queue)
        this.#schedule()
      },
      deadLetter: (queue, entry) => this.#deadLetter(queue, entry),
    }
    this.snapshots = new Snapshots(journal, {
      queue: (name) => this.queue(name),
      changed: () => this.#schedule(),
    })
    for (const config of journal.topics()) this.#topics.set(config.name, { config, queues: [] })
    for (const { key, config } of journal.subscriptions()) this.#open(key, config)
    this.#sweep = setInterval(() => {
      for (const queue of this.#queues.values()) queue.expire(steadyNow())
      this.snapshots.expire(steadyNow())
    }, RETENTION_SWEEP_MS).unref()
  }

  /** @throws Fault ALREADY_EXISTS, INVALID_ARGUMENT, FAILED_PRECONDITION */
  createTopic(asked: Record<string, unknown>): TopicConfig {
    const config = topicConfig(asked)
    if (this.#topics.has(config.name))
      throw new Fault('ALREADY_EXISTS', `Topic already exists: ${config.name}`)
    this.#topics.set(config.name, { config, queues: [] })
    this.#journal.saveTopic(config)
    this.#schedule()
    return config
  }

  updateTopic(asked: Record<string, unknown>): TopicConfig {
    const topic = this.#topic(String(asked.name))
    topic.config = topicConfig(asked)
    this.#journal.saveTopic(topic.config)
    this.#schedule()
    return topic.config
  }

  topic(name: string): TopicConfig {
    return this.#topic(name).config
  }

  /** In order of their names. */
  topics(): TopicConfig[] {
    return [...this.#topics.values()].map((topic) => topic.config).sort(byName)
  }

  /** Deletes a topic. Its subscriptions stay, with their messages. */
  deleteTopic(name: string): void {
    const topic = this.#topic(name)
    this.#topics.delete(name)
    this.#journal.removeTopic(name)
    for (const queue of topic.queues) {
      queue.config = { ...queue.config, topic: DELETED_TOPIC }
      this.#journal.saveSubscription(queue.config)
    }
    this.snapshots.orphan(name)
    this.#schedule()
  }

  createSubscription(asked: Record<string, unknown>): SubscriptionConfig {
    const config = subscriptionConfig(asked)
    if (this.#queues.has(config.name))
      throw new Fault('ALREADY_EXISTS', `Subscription already exists: ${config.name}`)
    this.#topic(config.topic)
    this.#checkDelivery(config)
    this.#open(this.#journal.saveSubscription(config), config)
    this.#schedule()
    return config
  }

  /** `asked` is the whole new configuration. The topic of a subscription cannot be changed. */
  updateSubscription(asked: Record<string, unknown>): SubscriptionConfig {
    const queue = this.#queue(String(asked.name))
    const { topic, detached } = queue.config
    const config = subscriptionConfig({ ...asked, detached: false })
    this.#checkDelivery(config)
    queue.config = { ...config, topic, ...(detached && { detached }) }
    this.#journal.saveSubscription(queue.config)
    this.#pushOrPull(queue)
    this.#schedule()
    return queue.config
  }

  /** The topic of a subscription or a snapshot, by its full name; undefined when there is neither. */
  topicOf(name: string): string | undefined {
    return this.#queues.get(name)?.config.topic ?? this.snapshots.topicOf(name)
  }

  /** @throws Fault NOT_FOUND */
  subscription(name: string): SubscriptionConfig {
    return this.#queue(name).config
  }

  /** In order of their names. */
  subscriptions(): SubscriptionConfig[] {
    return [...this.#queues.values()].map((queue) => queue.config).sort(byName)
  }

  /**
   * Detaches a subscription: its messages are dropped and it receives no more. It stays, and can't be attached again.
   */
  detachSubscription(name: string): void {
    const queue = this.#queue(name)
    if (queue.config.detached) return
    this.#leave(queue)
    queue.close(detached(name))
    queue.drop()
    queue.config = { ...queue.config, detached: true }
    this.#journal.saveSubscription(queue.config)
    this.#schedule()
  }

  deleteSubscription(name: string): void {
    const queue = this.#queue(name)
    this.#queues.delete(name)
    this.#pushes.delete(queue)
    this.#leave(queue)
    queue.close(new Fault('NOT_FOUND', `Subscription does not exist any more: ${name}`))
    this.#journal.removeSubscription(queue.key)
    this.#awake.delete(queue)
    this.#schedule()
  }

  /** @throws Fault NOT_FOUND; FAILED_PRECONDITION when it is detached. */
  queue(name: string): Queue {
    const queue = this.#queue(name)
    if (queue.config.detached) throw detached(name)
    return queue
  }

  /** @throws Fault as `queue`; FAILED_PRECONDITION when it is pushed. */
  pulledQueue(name: string): Queue {
    const queue = this.queue(name)
    if (queue.config.pushConfig) throw isPushed(name)
    return queue
  }

  /** Accepts all of these encoded messages, or none. @returns their ids. @throws Fault */
  publish(topicName: string, messages: readonly Buffer[]): number[] {
    const topic = this.#topic(topicName)
    const bodies = messages.map(publishable)
    return bodies.map((body) => this.#accept(topic, body))
  }

  /** Calls back when everything written until now is durable; at once when it already is. */
  committed(answer: () => void): void {
    if (this.#journal.dirty) {
      this.#answers.push(answer)
      this.#schedule()
    } else answer()
  }

  /** Ends all streams and commits the remaining writes. Its owner has to close the journal. */
  close(): void {
    if (this.#closed) return
    clearInterval(this.#sweep)
    for (const queue of this.#queues.values()) {
      queue.note()
      queue.close(new Fault('UNAVAILABLE', 'The server is shutting down.'))
    }
    this.#awake.clear()
    this.#tick()
    this.#closed = true
    this.#host.wheel.close()
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic) return topic
    checkName('topic', name)
    throw new Fault('NOT_FOUND', `Topic does not exist: ${name}`)
  }

  #queue(name: string): Queue {
    const queue = this.#queues.get(name)
    if (queue) return queue
    checkName('subscription', name)
    throw new Fault('NOT_FOUND', `Subscription does not exist: ${name}`)
  }

  /** Removes a queue from those that its topic publishes to. */
  #leave(queue: Queue): void {
    const queues = this.#topics.get(queue.config.topic)?.queues ?? []
    const at = queues.indexOf(queue)
    if (at >= 0) queues.splice(at, 1)
  }

  /**
   * @throws Fault NOT_FOUND without the dead-letter topic, since dead letters would be lost; FAILED_PRECONDITION where
   * nothing is pushed.
   */
  #checkDelivery({ deadLetterPolicy, pushConfig }: SubscriptionConfig): void {
    if (deadLetterPolicy) this.#topic(deadLetterPolicy.deadLetterTopic)
    if (pushConfig && this.#push === undefined)
      throw new Fault(
        'FAILED_PRECONDITION',
        'This server pushes only where it listens on loopback.',
      )
  }

  #open(key: number, config: SubscriptionConfig): void {
    const queue = new Queue(key, config, this.#host)
    this.#queues.set(config.name, queue)
    if (!config.detached) this.#topics.get(config.topic)?.queues.push(queue)
    this.#pushOrPull(queue)
    this.#host.wake(queue)
  }

  /** Sees to it that the messages of a queue go to its endpoint, or wait until they are pulled. */
  #pushOrPull(queue: Queue): void {
    const { name, pushConfig, detached } = queue.config
    const endpoint = detached ? undefined : pushConfig?.pushEndpoint
    const old = this.#pushes.get(queue)
    if (old?.endpoint === endpoint) return
    this.#pushes.delete(queue)
    for (const consumer of [...queue.consumers]) {
      queue.detach(consumer, consumer === old?.to ? 'all' : 'none')
      consumer.end(isPushed(name))
    }
    if (endpoint === undefined || this.#push === undefined) return
    const to = this.#push(queue, endpoint)
    this.#pushes.set(queue, { endpoint, to })
    queue.attach(to)
  }

  #accept({ config, queues }: Topic, body: Buffer): number {
    this.#lastId = Math.max(this.#lastId + 1, Date.now() * 1000)
    // As in Pub/Sub, a message on a topic without subscriptions is dropped.
    const keys = [...queues.map((queue) => queue.key), ...this.snapshots.keysOf(config.name)]
    if (keys.length === 0) return this.#lastId
    this.#journal.add(this.#lastId, body, keys)
    for (const queue of queues) queue.offer(this.#lastId, body, keys.length > 1)
    return this.#lastId
  }

  // Attributes: https://cloud.google.com/pubsub/docs/handling-failures#dead_letter_topic
  #deadLetter({ config }: QueueHandle, entry: Entry): boolean {
    const topic = this.#topics.get(config.deadLetterPolicy?.deadLetterTopic ?? '')
    const body = this.#journal.body(entry.id)
    if (!topic || !body) return false
    const [, project = '', , subscription = ''] = config.name.split('/')
    this.#accept(
      topic,
      withAttributes(body, {
        CloudPubSubDeadLetterSourceDeliveryCount: String(entry.attempt),
        CloudPubSubDeadLetterSourceSubscription: subscription,
        CloudPubSubDeadLetterSourceSubscriptionProject: project,
        CloudPubSubDeadLetterSourceTopicPublishTime: new Date(entry.id / 1000).toISOString(),
      }),
    )
    return true
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => this.#tick())
  }

  #tick(): void {
    this.#scheduled = false
    if (this.#closed) return
    try {
      this.#journal.commit()
    } catch (error) {
      this.#closed = true
      this.#onFatal(error as Error)
      return
    }
    const answers = this.#answers
    this.#answers = []
    for (const answer of answers) answer()
    const awake = [...this.#awake]
    this.#awake.clear()
    for (const queue of awake) queue.pump()
  }
}

function isPushed(name: string): Fault {
  return new Fault(
    'FAILED_PRECONDITION',
    `Subscription is pushed, and can't be pulled: ${name}`,
  )
}

function detached(name: string): Fault {
  return new Fault('FAILED_PRECONDITION', `Subscription is detached from its topic: ${name}`)
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}
