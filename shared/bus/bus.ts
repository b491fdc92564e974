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
  /** The number of this delivery of the message, from 1. Always 1 if the subscription has no dead-letter policy. */
  readonly attempt: number
  readonly published: Date
}

/** How a delivery is settled. `ack`: it is done. `nack`: it is given back and comes again by the retry policy. */
export type Settlement = 'ack' | 'nack'

export interface SubscribeOptions {
  /** The number of handlers that may run at once. */
  readonly concurrency: number
  /** How many more messages are pulled ahead of the work. They are leased too. Default: 0. */
  readonly prefetch?: number
  /** The longest that a handler may run, ms. It bounds how long leases are extended and how long `close` waits. */
  readonly longestMs: number
  /** Called with faults of the link. The subscriber reconnects by itself, with back-off. */
  readonly onError: (error: Error) => void
}

/** A consumer of one subscription. */
export interface Subscriber {
  /** Stops pulling, gives back messages that have not started, waits for running handlers and their acks. */
  close(): Promise<void>
  /** Stops pulling until `resume` and gives back the messages that have not started. For an upstream that is down. */
  pause(): void
  /** Pulls again after `pause`. Does nothing after `close`. */
  resume(): void
  /** When the last message came, or the stream was last opened. */
  readonly heard: Date
}

/** A message bus. Topics and subscriptions have their short names, e.g. `stage` or `analyze-onprem-a`. */
export interface Bus {
  /**
   * Publishes a message. Resolves with its id once the server has stored it.
   * @throws when the topic does not exist or the link is down (after the client's own retries).
   */
  publish(topic: string, message: Outgoing): Promise<string>
  /** Consumes a subscription. The handler must not throw; its result settles the delivery. */
  subscribe(
    subscription: string,
    options: SubscribeOptions,
    handler: (delivery: Delivery) => Promise<Settlement>,
  ): Subscriber
  /** Resolves when Pub/Sub answers, even with a refusal. @throws when it does not answer within 5 s. */
  ping(): Promise<void>
  /** Waits for pending publishes and closes the link. Close the subscribers first. */
  close(): Promise<void>
}
