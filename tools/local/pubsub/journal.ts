import type { SnapshotConfig, SubscriptionConfig, TopicConfig } from './resources.ts'

/** A message that waits for one subscription, as it is kept. */
export interface Kept {
  /** The message: see `Broker`, message ids. */
  readonly id: number
  /** Deliveries so far that were not acknowledged. */
  readonly attempt: number
  /** Not to be delivered before this, as `steadyNow` of whoever noted it. 0: at once. */
  readonly due: number
  /** Size of the body, bytes. */
  readonly bytes: number
  /** Other subscriptions wait for the same message. */
  readonly shared: boolean
  /** Large bodies are left where they are until they are needed. */
  readonly body: Buffer | undefined
}

/** What the broker must not forget. Everything written in one turn of the event loop is one transaction. */
export interface Journal {
  topics(): TopicConfig[]
  subscriptions(): { readonly key: number; readonly config: SubscriptionConfig }[]
  snapshots(): { readonly key: number; readonly config: SnapshotConfig }[]
  /** The highest message id that was ever given, 0 on a new journal. */
  lastId(): number

  saveTopic(config: TopicConfig): void
  removeTopic(name: string): void
  /** @returns the key of a new subscription, or that of the one that has this name. */
  saveSubscription(config: SubscriptionConfig): number
  /** Removes the subscription and all that waits for it. */
  removeSubscription(key: number): void
  /** @returns the key of a new snapshot, or that of the one that has this name. It is none of a subscription's, and messages are kept for it as for those. */
  saveSnapshot(config: SnapshotConfig): number
  removeSnapshot(key: number): void

  /** Keeps one message for each of these subscriptions (at least one). */
  add(id: number, body: Buffer, subscriptions: readonly number[]): void
  /** Forgets a message for one subscription, and its body with the last. Of what is not there: nothing. */
  settle(subscription: number, id: number, shared: boolean): void
  /** Notes the attempts so far, and when the next may be made. */
  note(subscription: number, id: number, attempt: number, due: number): void
  /** What waits for a subscription, by id, after `after`. */
  page(subscription: number, after: number, limit: number): Kept[]
  body(id: number): Buffer | undefined
  /** Whatever waits for a subscription waits for no time any more. */
  hurry(subscription: number): void
  /** What waits for `from` waits for `to` as well, for which nothing may be waiting yet; it counts as never tried. */
  copy(from: number, to: number): void
  /** The lowest id that waits for a subscription; undefined when none does. */
  oldest(subscription: number): number | undefined
  /** Forgets what waits for a subscription and has a lower id. @returns how many. */
  expire(subscription: number, below: number): number

  /** True while something is written and not yet committed. */
  readonly dirty: boolean
  /** Makes durable all that was written. @throws when the disk refuses: the journal is then useless. */
  commit(): void
  close(): void
}
