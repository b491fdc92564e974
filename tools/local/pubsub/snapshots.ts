import { steadyNow } from './clock.ts'
import { Fault } from './fault.ts'
import type { Journal } from './journal.ts'
import type { Queue } from './queue.ts'
import { checkName, DELETED_TOPIC, labels, type SnapshotConfig } from './resources.ts'

// Both limits: https://cloud.google.com/pubsub/docs/replay-overview
const LONGEST_LIFE_MS = 7 * 86_400_000
const SHORTEST_LIFE_MS = 3_600_000

interface Snapshot {
  readonly key: number
  config: SnapshotConfig
}

interface Host {
  /** @throws Fault NOT_FOUND, FAILED_PRECONDITION */
  queue(subscription: string): Queue
  /** Reports a write, to be committed at the end of this turn of the event loop. */
  changed(): void
}

/**
 * Snapshots. In the journal each is one more subscription of its topic, without consumers, which begins with the
 * messages that waited for another one. So it holds what was unacknowledged when it was made, and all that was published
 * since.
 */
export class Snapshots {
  readonly #journal: Journal
  readonly #host: Host
  readonly #snapshots = new Map<string, Snapshot>()
  /** The keys of the snapshots of each topic that has any. */
  readonly #keys = new Map<string, number[]>()

  constructor(journal: Journal, host: Host) {
    this.#journal = journal
    this.#host = host
    for (const snapshot of journal.snapshots())
      this.#snapshots.set(snapshot.config.name, snapshot)
    this.#index()
  }

  /** The keys under which messages of a topic are kept for its snapshots. */
  keysOf(topic: string): readonly number[] {
    return this.#keys.get(topic) ?? []
  }

  /**
   * Makes a snapshot. It expires after 7 days, less the age of the oldest message in it.
   * @throws Fault ALREADY_EXISTS, INVALID_ARGUMENT, FAILED_PRECONDITION, and NOT_FOUND of the subscription
   */
  create(asked: Record<string, unknown>): SnapshotConfig {
    const name = String(asked.name ?? '')
    checkName('snapshot', name)
    if (this.#snapshots.has(name))
      throw new Fault('ALREADY_EXISTS', `Snapshot already exists: ${name}`)
    const queue = this.#host.queue(String(asked.subscription ?? ''))
    const { topic } = queue.config
    if (topic === DELETED_TOPIC)
      throw new Fault('FAILED_PRECONDITION', 'The topic of the subscription has been deleted.')
    const now = Math.floor(steadyNow())
    const oldest = this.#journal.oldest(queue.key)
    const expires = Math.min(now, Math.floor((oldest ?? now * 1000) / 1000)) + LONGEST_LIFE_MS
    if (expires < now + SHORTEST_LIFE_MS)
      throw new Fault(
        'FAILED_PRECONDITION',
        'The oldest message of the subscription is so old that the snapshot would expire within an hour.',
      )
    const expireTime = { seconds: Math.floor(expires / 1000), nanos: (expires % 1000) * 1e6 }
    const config = { name, topic, expireTime, ...labels(asked) }
    const key = this.#journal.saveSnapshot(config)
    this.#journal.copy(queue.key, key)
    queue.share()
    this.#snapshots.set(name, { key, config })
    this.#changed()
    return config
  }

  /** @throws Fault NOT_FOUND */
  get(name: string): SnapshotConfig {
    return this.#get(name).config
  }

  /** The topic of a snapshot; undefined when there is no such snapshot. */
  topicOf(name: string): string | undefined {
    return this.#snapshots.get(name)?.config.topic
  }

  /** In order of their names. */
  all(): SnapshotConfig[] {
    const all = [...this.#snapshots.values()].map(({ config }) => config)
    return all.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  /** Updates a snapshot. `asked` is the whole new configuration, in which only the labels may differ. @throws Fault */
  update(asked: Record<string, unknown>): SnapshotConfig {
    const snapshot = this.#get(String(asked.name))
    const { name, topic, expireTime } = snapshot.config
    snapshot.config = { name, topic, expireTime, ...labels(asked) }
    this.#journal.saveSnapshot(snapshot.config)
    this.#host.changed()
    return snapshot.config
  }

  /** @throws Fault NOT_FOUND */
  remove(name: string): void {
    this.#journal.removeSnapshot(this.#get(name).key)
    this.#snapshots.delete(name)
    this.#changed()
  }

  /**
   * Replaces the messages that wait for the subscription by those of the snapshot.
   * @throws Fault NOT_FOUND, FAILED_PRECONDITION
   */
  restore(subscription: string, snapshot: string): void {
    const queue = this.#host.queue(subscription)
    const { key, config } = this.#get(snapshot)
    if (config.topic !== queue.config.topic || config.topic === DELETED_TOPIC)
      throw new Fault(
        'FAILED_PRECONDITION',
        `The snapshot is of ${config.topic} and the subscription of ${queue.config.topic}: both must be of one topic that is still there.`,
      )
    queue.restore(key)
  }

  /** Reports that a topic was deleted. Its snapshots can still be read and removed. */
  orphan(topic: string): void {
    for (const snapshot of this.#snapshots.values()) {
      if (snapshot.config.topic !== topic) continue
      snapshot.config = { ...snapshot.config, topic: DELETED_TOPIC }
      this.#journal.saveSnapshot(snapshot.config)
    }
    this.#changed()
  }

  /** Removes expired snapshots. @param now ms since the epoch */
  expire(now: number): void {
    for (const { name, expireTime } of this.all())
      if (expireTime.seconds * 1000 < now) this.remove(name)
  }

  #get(name: string): Snapshot {
    const snapshot = this.#snapshots.get(name)
    if (snapshot) return snapshot
    checkName('snapshot', name)
    throw new Fault('NOT_FOUND', `Snapshot does not exist: ${name}`)
  }

  #changed(): void {
    this.#index()
    this.#host.changed()
  }

  #index(): void {
    this.#keys.clear()
    for (const { key, config } of this.#snapshots.values()) {
      if (config.topic === DELETED_TOPIC) continue
      this.#keys.set(config.topic, [...this.keysOf(config.topic), key])
    }
  }
}
