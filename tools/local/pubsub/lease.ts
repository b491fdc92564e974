import type { Fault } from './fault.ts'
import type { Journal } from './journal.ts'
import type { SubscriptionConfig } from './resources.ts'
import type { Timed, Wheel } from './timer-wheel.ts'

/** A message leased to a client. Its body is the encoding that `body.ts` describes. */
export interface Lease {
  readonly id: number
  readonly attempt: number
  readonly body: Buffer
}

/** A client that receives deliveries as they become available: a streaming pull. */
export interface Consumer {
  /** The most messages, and the most bytes of bodies, that may be leased to it at a time. */
  readonly maxMessages: number
  readonly maxBytes: number
  /** How long each of its leases lasts, ms. */
  leaseMs: number
  /** Messages leased to it now. The queue maintains both counts. */
  outstanding: number
  outstandingBytes: number
  /** Whether the connection accepts no more data for now. */
  readonly blocked: boolean
  deliver(leases: readonly Lease[]): void
  /** Ends the stream, because the subscription is gone. */
  end(fault: Fault): void
}

/** The part of a queue that the broker and the timer wheel use. */
export interface QueueHandle {
  readonly config: SubscriptionConfig
  pump(): void
  /** Handles a lease that has expired, or a wait that is over. */
  expired(entry: Entry, now: number): void
}

/** What a queue needs of the broker. */
export interface Host {
  readonly journal: Journal
  readonly wheel: Wheel<Entry>
  /** Bytes of bodies that all queues together may keep in memory (`limit`), and do keep (`used`). */
  readonly cache: { readonly limit: number; used: number }
  /** Reports that something was written or can be delivered: the broker calls `pump` after the commit. */
  wake(queue: QueueHandle): void
  /** Publishes to the dead-letter topic. @returns false when there is none. */
  deadLetter(queue: QueueHandle, entry: Entry): boolean
}

/** A message that a queue holds in memory: ready, leased, or waiting for its next attempt. */
export interface Entry extends Timed {
  readonly queue: QueueHandle
  readonly id: number
  readonly bytes: number
  shared: boolean
  body: Buffer | undefined
  state: 'ready' | 'leased' | 'waiting' | 'gone'
  attempt: number
  /** The attempt that the journal has recorded. */
  noted: number
  /** Start of the current lease, as `steadyNow` counts. */
  leasedAt: number
  consumer: Consumer | undefined
  /** Whether the client has shown that it received this lease. */
  seen: boolean
}
