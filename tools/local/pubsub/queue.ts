import { Backlog } from './backlog.ts'
import { steadyNow } from './clock.ts'
import type { Fault } from './fault.ts'
import type { Kept } from './journal.ts'
import type { Consumer, Entry, Host, Loan } from './lease.ts'
import {
  backOffMs,
  MAX_BACKOFF_SECONDS,
  type SubscriptionConfig,
  seconds,
} from './resources.ts'

const BATCH_MESSAGES = 500
const BATCH_BYTES = 1 << 20
const PULL_BYTES = 10 << 20
/** Pages that are taken from the journal in one turn. */
const MAX_PAGES = 10
/** An attempt is worth a write of its own when the client has worked on it this long. */
const NOTE_AFTER_MS = 1_000

/**
 * The messages of one subscription: who has which, until when, and what comes next. It keeps bodies
 * only of what is about to be delivered, and of a long backlog not even the ids.
 */
export class Queue {
  readonly key: number
  config: SubscriptionConfig
  readonly consumers: Consumer[] = []
  readonly #host: Host
  readonly #entries = new Map<number, Entry>()
  readonly #backlog: Backlog
  readonly #pulls = new Set<{ max: number; give: (loans: Loan[]) => void }>()
  #turn = 0

  constructor(key: number, config: SubscriptionConfig, host: Host) {
    this.key = key
    this.config = config
    this.#host = host
    this.#backlog = new Backlog(key, host)
  }

  /** Takes a message that the journal has just been given. */
  offer(id: number, body: Buffer, shared: boolean): void {
    if (this.#backlog.takes(id))
      this.#enter({ id, attempt: 0, due: 0, bytes: body.length, shared, body }, 0)
    this.#host.wake(this)
  }

  /** Done with, whoever says so and however late: the work has been done, that is all that counts. */
  ack(id: number): void {
    const entry = this.#entries.get(id)
    if (entry) this.#forget(entry)
    this.#host.journal.settle(this.key, id, entry?.shared ?? true)
    this.#host.wake(this)
  }

  /** Lengthens or shortens the loan of this attempt; 0 gives it back. Of another attempt: nothing. */
  modify(id: number, attempt: number, leaseSeconds: number, now = steadyNow()): void {
    const entry = this.#entries.get(id)
    if (entry?.state !== 'lent' || entry.attempt !== attempt) return
    entry.seen = true
    if (leaseSeconds === 0) {
      this.#again(entry, now, true)
      return
    }
    this.#host.wheel.set(entry, now + leaseSeconds * 1000)
    if (entry.noted !== attempt && now - entry.lentAt >= NOTE_AFTER_MS) this.#note(entry, 0)
  }

  attach(consumer: Consumer): void {
    this.consumers.push(consumer)
    this.#host.wake(this)
  }

  /**
   * No more deliveries for this one.
   * @param give which of its loans go back at once, without back-off: `all` when the client has died,
   * `unseen` when it has left and what was under way to it may not have arrived.
   */
  detach(consumer: Consumer, give: 'all' | 'unseen' | 'none'): void {
    const at = this.consumers.indexOf(consumer)
    if (at >= 0) this.consumers.splice(at, 1)
    if (give === 'none' || consumer.outstanding === 0) return
    const now = steadyNow()
    for (const entry of [...this.#entries.values()]) {
      if (entry.consumer !== consumer || entry.state !== 'lent') continue
      if (give === 'all' || !entry.seen) this.#again(entry, now, false)
    }
  }

  /** Lends up to `max`, now or when there is something. @returns a function that withdraws. */
  pull(max: number, give: (loans: Loan[]) => void): () => void {
    const waiting = { max, give }
    this.#pulls.add(waiting)
    this.#host.wake(this)
    return () => this.#pulls.delete(waiting)
  }

  /** Lends up to `max` of what is ready, or fewer that are large. */
  lend(max: number): Loan[] {
    return this.#take(max, PULL_BYTES, undefined)
  }

  /** A consumer has room again. */
  wake(): void {
    this.#host.wake(this)
  }

  /** Hands out what can be handed out. */
  pump(): void {
    this.#refill()
    for (const pull of this.#pulls) {
      const loans = this.lend(pull.max)
      if (loans.length === 0) break
      this.#pulls.delete(pull)
      pull.give(loans)
    }
    while (this.#backlog.length > 0) {
      const open = this.consumers.filter(hasRoom)
      if (open.length === 0) break
      const share = Math.min(BATCH_MESSAGES, Math.ceil(this.#backlog.length / open.length))
      for (let i = 0; i < open.length; i++) {
        const consumer = open[(this.#turn + i) % open.length] as Consumer
        const room = Math.min(share, consumer.maxMessages - consumer.outstanding)
        const bytes = Math.min(BATCH_BYTES, consumer.maxBytes - consumer.outstandingBytes)
        const loans = this.#take(room, bytes, consumer)
        if (loans.length > 0) consumer.deliver(loans)
      }
      this.#turn++
      this.#refill()
    }
  }

  /** The wheel says that the time of a loan, or of a wait, is up. */
  expired(entry: Entry, now: number): void {
    if (entry.state === 'lent') this.#again(entry, now, true)
    else if (entry.state === 'waiting') this.#makeReady(entry)
  }

  /** Drops what is older than the retention. */
  expire(now: number): void {
    this.#dropBelow((now - seconds(this.config.messageRetentionDuration) * 1000) * 1000)
  }

  /**
   * What was published before `ms` (since the epoch) counts as acknowledged; the rest is to be delivered, at once. What
   * has been acknowledged is gone: this server does not retain it.
   */
  seek(ms: number): void {
    this.#dropBelow(ms * 1000)
    this.#host.journal.hurry(this.key)
    for (const entry of [...this.#entries.values()]) {
      if (entry.state !== 'lent' && entry.state !== 'waiting') continue
      this.#unlend(entry)
      this.#makeReady(entry)
    }
    this.#host.wake(this)
  }

  /** From now on somebody else keeps what waits here, too. */
  share(): void {
    for (const entry of this.#entries.values()) entry.shared = true
  }

  /** What waits for `key`, a snapshot's, is what waits here, and nothing else; its attempts are counted anew. */
  restore(key: number): void {
    this.drop()
    this.#host.journal.copy(key, this.key)
    this.#backlog.restart()
    this.#host.wake(this)
  }

  /** Nothing that was published until now is delivered any more. */
  drop(): void {
    this.#dropBelow(Number.MAX_SAFE_INTEGER)
  }

  #dropBelow(below: number): void {
    for (const entry of [...this.#entries.values()]) if (entry.id < below) this.#forget(entry)
    if (this.#host.journal.expire(this.key, below) > 0) this.#host.wake(this)
  }

  /** Lets go of everything in memory. */
  close(fault: Fault): void {
    for (const consumer of this.consumers.splice(0)) consumer.end(fault)
    for (const pull of this.#pulls) pull.give([])
    this.#pulls.clear()
    for (const entry of [...this.#entries.values()]) this.#forget(entry)
  }

  /** Notes the attempts that are under way, for a restart. */
  note(): void {
    for (const entry of this.#entries.values())
      if (entry.noted !== entry.attempt) this.#note(entry, 0)
  }

  #take(max: number, maxBytes: number, consumer: Consumer | undefined): Loan[] {
    const { wheel } = this.#host
    const now = steadyNow()
    const due = now + (consumer?.leaseMs ?? this.config.ackDeadlineSeconds * 1000)
    const loans: Loan[] = []
    for (let bytes = 0; loans.length < max && bytes < maxBytes; ) {
      const next = this.#backlog.shift()
      if (!next) break
      const { entry, body } = next
      if (!body) {
        this.#forget(entry)
        continue
      }
      entry.state = 'lent'
      entry.attempt++
      entry.lentAt = now
      entry.seen = false
      entry.consumer = consumer
      if (consumer) {
        consumer.outstanding++
        consumer.outstandingBytes += entry.bytes
      }
      wheel.set(entry, due)
      bytes += entry.bytes
      loans.push({ id: entry.id, attempt: entry.attempt, body })
    }
    return loans
  }

  /** Not acknowledged: another attempt, or the dead-letter topic. */
  #again(entry: Entry, now: number, backOff: boolean): void {
    this.#unlend(entry)
    const { deadLetterPolicy, retryPolicy } = this.config
    const worn = deadLetterPolicy && entry.attempt >= deadLetterPolicy.maxDeliveryAttempts
    if (worn && this.#host.deadLetter(this, entry)) {
      this.ack(entry.id)
      return
    }
    const delay = backOff && retryPolicy ? backOffMs(retryPolicy, entry.attempt) : 0
    this.#note(entry, delay && now + delay)
    if (delay === 0) this.#makeReady(entry)
    else {
      entry.state = 'waiting'
      this.#host.wheel.set(entry, now + delay)
    }
  }

  #note(entry: Entry, due: number): void {
    entry.noted = entry.attempt
    this.#host.journal.note(this.key, entry.id, entry.attempt, Math.ceil(due))
    this.#host.wake(this)
  }

  #makeReady(entry: Entry): void {
    entry.state = 'ready'
    this.#backlog.push(entry)
    this.#host.wake(this)
  }

  #unlend(entry: Entry): void {
    this.#host.wheel.drop(entry)
    const { consumer } = entry
    if (!consumer) return
    consumer.outstanding--
    consumer.outstandingBytes -= entry.bytes
    entry.consumer = undefined
  }

  #forget(entry: Entry): void {
    this.#unlend(entry)
    this.#backlog.uncache(entry)
    this.#entries.delete(entry.id)
    entry.state = 'gone'
  }

  /** Takes from the journal until something is ready. What waits there is taken along, to wait here. */
  #refill(): void {
    const now = steadyNow()
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = this.#backlog.page()
      if (page.length === 0) return
      for (const kept of page) this.#enter(kept, now)
    }
    // Others are to have their turn; the rest is for the next one.
    this.#host.wake(this)
  }

  #enter(kept: Kept, now: number): void {
    const entry: Entry = {
      due: 0,
      slot: undefined,
      queue: this,
      id: kept.id,
      bytes: kept.bytes,
      shared: kept.shared,
      body: undefined,
      state: 'ready',
      attempt: kept.attempt,
      noted: kept.attempt,
      lentAt: 0,
      consumer: undefined,
      seen: false,
    }
    if (kept.body) this.#backlog.cache(entry, kept.body)
    this.#entries.set(entry.id, entry)
    // Noted by another process, by a clock that may have been set back since: no wait is longer than the longest.
    const { maximumBackoff = { seconds: MAX_BACKOFF_SECONDS } } = this.config.retryPolicy ?? {}
    const due = Math.min(kept.due, now + seconds(maximumBackoff) * 1000)
    if (due <= now) this.#backlog.push(entry)
    else {
      entry.state = 'waiting'
      this.#host.wheel.set(entry, due)
    }
  }
}

function hasRoom(consumer: Consumer): boolean {
  return (
    !consumer.blocked &&
    consumer.outstanding < consumer.maxMessages &&
    consumer.outstandingBytes < consumer.maxBytes
  )
}
