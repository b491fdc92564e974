import type { SnapshotConfig, SubscriptionConfig, TopicConfig } from './resources.ts'

/** A message that waits for one subscription, as the journal keeps it. */
export interface Kept {
  /** The message id: see `Broker`. */
  readonly id: number
  /** Deliveries so far that were not acknowledged. */
  readonly attempt: number
  /** The earliest time of delivery, by `steadyNow` of the process that noted it. 0: at once. */
  readonly due: number
  /** Size of the body, bytes. */
  readonly bytes: number
  /** Whether other subscriptions may wait for the same message. */
  readonly shared: boolean
  /** The body; undefined for a large one, which is read when it is delivered. */
  readonly body: Buffer | undefined
}

/** The durable state of the broker. The writes of one turn of the event loop are one transaction. */
export interface Journal {
  topics(): TopicConfig[]
  subscriptions(): { readonly key: number; readonly config: SubscriptionConfig }[]
  snapshots(): { readonly key: number; readonly config: SnapshotConfig }[]
  /** The highest message id that was ever assigned; 0 in a new journal. */
  lastId(): number

  saveTopic(config: TopicConfig): void
  removeTopic(name: string): void
  /** Saves a subscription. @returns its key, a new one unless there is a subscription of this name. */
  saveSubscription(config: SubscriptionConfig): number
  /** Removes a subscription and the messages that wait for it. */
  removeSubscription(key: number): void
  /**
   * Saves a snapshot.
   * @returns its key, a new one unless there is a snapshot of this name. It differs from all keys of subscriptions, and
   * messages are kept under it in the same way.
   */
  saveSnapshot(config: SnapshotConfig): number
  removeSnapshot(key: number): void

  /** Adds a message for each of these subscriptions (at least one). */
  add(id: number, body: Buffer, subscriptions: readonly number[]): void
  /** Removes a message for one subscription, and its body with the last one. Does nothing when it is not there. */
  settle(subscription: number, id: number, shared: boolean): void
  /** Records the attempts so far, and the earliest time of the next. */
  note(subscription: number, id: number, attempt: number, due: number): void
  /** Up to `limit` messages that wait for a subscription, by id, after the id `after`. */
  page(subscription: number, after: number, limit: number): Kept[]
  body(id: number): Buffer | undefined
  /** Makes all messages of a subscription due at once. */
  hurry(subscription: number): void
  /**
   * Copies the messages that wait for `from` to `to`, for which none may be waiting yet. Their attempts are
   * counted from 1 again.
   */
  copy(from: number, to: number): void
  /** The lowest id of the messages that wait for a subscription; undefined when there are none. */
  oldest(subscription: number): number | undefined
  /** Removes the messages with an id below `below` that wait for a subscription. @returns how many. */
  expire(subscription: number, below: number): number

  /** Whether there are writes that are not yet committed. */
  readonly dirty: boolean
  /** Makes all writes durable. @throws when the disk refuses: the journal can not be used from then on. */
  commit(): void
  close(): void
}
