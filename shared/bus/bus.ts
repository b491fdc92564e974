/** A message as it is published: a body, and attributes for routing and tracing (never for meaning). */
export interface Outgoing {
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
}

/** A message as it is delivered. */
export interface Delivery {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  /** From 1. 1 as well where the subscription has no dead-letter policy and so does not count. */
  readonly attempt: number
  readonly published: Date
}

/** What to do with a delivery: `ack`, it is dealt with; `nack`, give it back (the retry policy backs off). */
export type Settlement = 'ack' | 'nack'

export interface SubscribeOptions {
  /** How many handlers run at once. */
  readonly concurrency: number
  /** How many more may be held ready, so that fetching the next overlaps the work. They are leased too. */
  readonly prefetch?: number
  /** The longest a handler may run, ms: bounds the lease, and how long `close` waits. */
  readonly longestMs: number
  /** Told of faults of the link. The subscriber goes on by itself, with back-off. */
  readonly onError: (error: Error) => void
}

export interface Subscriber {
  /** Stops pulling at once, gives back what has not started, waits for the running and their acks. */
  close(): Promise<void>
  /** Stops pulling and gives back what has not started, until `resume`. For an upstream that is down. */
  pause(): void
  resume(): void
  /** When anything was last heard: a message, or the link coming up. */
  readonly heard: Date
}

/** Topics and subscriptions by their short names, e.g. `stage` or `analyze-onprem-a`. */
export interface Bus {
  /**
   * Resolves with the message id once the message is accepted for good.
   * @throws when the topic does not exist or the link is down (after the client's own retries).
   */
  publish(topic: string, message: Outgoing): Promise<string>
  /** The handler never throws: what it returns is done. */
  subscribe(
    subscription: string,
    options: SubscribeOptions,
    handler: (delivery: Delivery) => Promise<Settlement>,
  ): Subscriber
  /** Whether Pub/Sub answers, whatever it says. @throws when it does not, within 5 s. */
  ping(): Promise<void>
  /** Flushes what is being published and closes the link. Close the subscribers first. */
  close(): Promise<void>
}
