import type { Fault } from './fault.ts'
import type { Journal } from './journal.ts'
import type { SubscriptionConfig } from './resources.ts'
import type { Timed, Wheel } from './timer-wheel.ts'

/** A message on loan to a client. Its body is the encoding that `body.ts` describes. */
export interface Loan {
  readonly id: number
  readonly attempt: number
  readonly body: Buffer
}

/** Somebody who takes deliveries as they come: a streaming pull. */
export interface Consumer {
  /** On loan at once, at most. */
  readonly maxMessages: number
  readonly maxBytes: number
  leaseMs: number
  /** Kept by the queue. */
  outstanding: number
  outstandingBytes: number
  /** The link takes no more for now. */
  readonly blocked: boolean
  deliver(loans: readonly Loan[]): void
  /** The subscription is gone. */
  end(fault: Fault): void
}

/** A queue, to those whom it works with. */
export interface Lender {
  readonly config: SubscriptionConfig
  pump(): void
  /** A loan has run out, or what waited is due. */
  expired(entry: Entry, now: number): void
}

/** What a queue needs of the broker. */
export interface Host {
  readonly journal: Journal
  readonly wheel: Wheel<Entry>
  /** How many bytes of bodies all queues may keep in memory, and do. */
  readonly cache: { readonly limit: number; used: number }
  /** Something was written, or can be delivered: `pump` when it is committed. */
  wake(queue: Lender): void
  /** Publishes to the dead-letter topic. False when there is none. */
  deadLetter(queue: Lender, entry: Entry): boolean
}

/** A message that a queue has in mind: ready, on loan, or waiting for another attempt. */
export interface Entry extends Timed {
  readonly queue: Lender
  readonly id: number
  readonly bytes: number
  shared: boolean
  body: Buffer | undefined
  state: 'ready' | 'lent' | 'waiting' | 'gone'
  attempt: number
  /** The attempt that the journal knows of. */
  noted: number
  lentAt: number
  consumer: Consumer | undefined
  /** The client has shown that it got this loan. */
  seen: boolean
}
