import { Backlog } from './backlog.ts'
import { steadyNow } from './clock.ts'
import type { Fault } from './fault.ts'
import type { Kept } from './journal.ts'
import type { Consumer, Entry, Host, Lease } from './lease.ts'
import {
  backOffMs,
  MAX_BACKOFF_SECONDS,
  type SubscriptionConfig,
  seconds,
} from './resources.ts'

const BATCH_MESSAGES = 500
const BATCH_BYTES = 1 << 20
const PULL_BYTES = 10 << 20
/** The most pages that are read from the journal in one turn of the event loop. */
const MAX_PAGES = 10
/** An attempt is recorded by a write of its own when the client has worked on it this long. */
const NOTE_AFTER_MS = 1_000

/**
 * The messages of one subscription: which client has leased which, until when, and what is delivered next. It
 * keeps only the bodies that are about to be delivered. Of a long backlog it does not even keep the ids.
 */
export class Queue {
  readonly key: number
  config: SubscriptionConfig
  readonly consumers: Consumer[] = []
  readonly #host: Host
  readonly #entries = new Map<number, Entry>()
  readonly #backlog: Backlog
  readonly #pulls = new Set<{ max: number; give: (leases: Lease[]) => void }>()
  #turn = 0

  constructor(key: number, config: SubscriptionConfig, host: Host) {
    this.key = key
    this.config = config
    this.#host = host
    this.#backlog = new Backlog(key, host)
  }

  /** Accepts a message that has just been written to the journal. */
  offer(id: number, body: Buffer, shared: boolean): void {
    if (this.#backlog.takes(id))
      this.#enter({ id, attempt: 0, due: 0, bytes: body.length, shared, body }, 0)
    this.#host.wake(this)
  }

  /** Acknowledges a message. Any client may do so, even after its lease has expired, because the work is done. */
  ack(id: number): void {
    const entry = this.#entries.get(id)
    if (entry) this.#forget(entry)
    this.#host.journal.settle(this.key, id, entry?.shared ?? true)
    this.#host.wake(this)
  }

  /** Sets how long the lease of this attempt still lasts, s; 0 ends it. Ignored for any other attempt. */
  modify(id: number, attempt: number, leaseSeconds: number, now = steadyNow()): void {
    const entry = this.#entries.get(id)
    if (entry?.state !== 'leased' || entry.attempt !== attempt) return
    entry.seen = true
    if (leaseSeconds === 0) {
      this.#again(entry, now, true)
      return
    }
    this.#host.wheel.set(entry, now + leaseSeconds * 1000)
    if (entry.noted !== attempt && now - entry.leasedAt >= NOTE_AFTER_MS) this.#note(entry, 0)
  }

  attach(consumer: Consumer): void {
    this.consumers.push(consumer)
    this.#host.wake(this)
  }

  /**
   * Ends deliveries to this consumer.
   * @param give which of its leases end at once, without back-off: `all` when the client has died, `unseen` when
   * it has left and messages on their way to it may not have arrived.
   */
  detach(consumer: Consumer, give: 'all' | 'unseen' | 'none'): void {
    const at = this.consumers.indexOf(consumer)
    if (at >= 0) this.consumers.splice(at, 1)
    if (give === 'none' || consumer.outstanding === 0) return
    const now = steadyNow()
    for (const entry of [...this.#entries.values()]) {
      if (entry.consumer !== consumer || entry.state !== 'leased') continue
      if (give === 'all' || !entry.seen) this.#again(entry, now, false)
    }
  }

  /** Leases up to `max` messages, as soon as there are any. @returns a function that cancels the request. */
  pull(max: number, give: (leases: Lease[]) => void): () => void {
    const waiting = { max, give }
    this.#pulls.add(waiting)
    this.#host.wake(this)
    return () => this.#pulls.delete(waiting)
  }

  /** Leases up to `max` ready messages; fewer when their bodies exceed 10 MiB together. */
  lease(max: number): Lease[] {
    return this.#take(max, PULL_BYTES, undefined)
  }

  /** Reports that a consumer can receive more. */
  wake(): void {
    this.#host.wake(this)
  }

  /** Delivers what can be delivered. */
  pump(): void {
    this.#refill()
    for (const pull of this.#pulls) {
      const leases = this.lease(pull.max)
      if (leases.length === 0) break
      this.#pulls.delete(pull)
      pull.give(leases)
    }
    while (this.#backlog.length > 0) {
      const open = this.consumers.filter(hasRoom)
      if (open.length === 0) break
      const share = Math.min(BATCH_MESSAGES, Math.ceil(this.#backlog.length / open.length))
      for (let i = 0; i < open.length; i++) {
        const consumer = open[(this.#turn + i) % open.length] as Consumer
        const room = Math.min(share, consumer.maxMessages - consumer.outstanding)
        const bytes = Math.min(BATCH_BYTES, consumer.maxBytes - consumer.outstandingBytes)
        const leases = this.#take(room, bytes, consumer)
        if (leases.length > 0) consumer.deliver(leases)
      }
      this.#turn++
      this.#refill()
    }
  }

  /** Called by the timer wheel when a lease or a wait has ended. */
  expired(entry: Entry, now: number): void {
    if (entry.state === 'leased') this.#again(entry, now, true)
    else if (entry.state === 'waiting') this.#makeReady(entry)
  }

  /** Drops messages older than the retention. */
  expire(now: number): void {
    this.#dropBelow((now - seconds(this.config.messageRetentionDuration) * 1000) * 1000)
  }

  /**
   * Messages published before `ms` (since the epoch) count as acknowledged; the others are delivered at once.
   * Acknowledged messages stay gone: this server does not retain them.
   */
  seek(ms: number): void {
    this.#dropBelow(ms * 1000)
    this.#host.journal.hurry(this.key)
    for (const entry of [...this.#entries.values()]) {
      if (entry.state !== 'leased' && entry.state !== 'waiting') continue
      this.#endLease(entry)
      this.#makeReady(entry)
    }
    this.#host.wake(this)
  }

  /** Marks the messages that wait here as kept for a snapshot, too. */
  share(): void {
    for (const entry of this.#entries.values()) entry.shared = true
  }

  /** Replaces the messages that wait here by those of the snapshot `key`. Their attempts are counted again from 1. */
  restore(key: number): void {
    this.drop()
    this.#host.journal.copy(key, this.key)
    this.#backlog.restart()
    this.#host.wake(this)
  }

  /** Drops every message published until now. */
  drop(): void {
    this.#dropBelow(Number.MAX_SAFE_INTEGER)
  }

  #dropBelow(below: number): void {
    for (const entry of [...this.#entries.values()]) if (entry.id < below) this.#forget(entry)
    if (this.#host.journal.expire(this.key, below) > 0) this.#host.wake(this)
  }

  /** Ends all streams and pulls, and forgets everything in memory. */
  close(fault: Fault): void {
    for (const consumer of this.consumers.splice(0)) consumer.end(fault)
    for (const pull of this.#pulls) pull.give([])
    this.#pulls.clear()
    for (const entry of [...this.#entries.values()]) this.#forget(entry)
  }

  /** Records the attempts under way in the journal, for a restart. */
  note(): void {
    for (const entry of this.#entries.values())
      if (entry.noted !== entry.attempt) this.#note(entry, 0)
  }

  #take(max: number, maxBytes: number, consumer: Consumer | undefined): Lease[] {
    const { wheel } = this.#host
    const now = steadyNow()
    const due = now + (consumer?.leaseMs ?? this.config.ackDeadlineSeconds * 1000)
    const leases: Lease[] = []
    for (let bytes = 0; leases.length < max && bytes < maxBytes; ) {
      const next = this.#backlog.shift()
      if (!next) break
      const { entry, body } = next
      if (!body) {
        this.#forget(entry)
        continue
      }
      entry.state = 'leased'
      entry.attempt++
      entry.leasedAt = now
      entry.seen = false
      entry.consumer = consumer
      if (consumer) {
        consumer.outstanding++
        consumer.outstandingBytes += entry.bytes
      }
      wheel.set(entry, due)
      bytes += entry.bytes
      leases.push({ id: entry.id, attempt: entry.attempt, body })
    }
    return leases
  }

  /** Schedules the next attempt of a message that was not acknowledged, or publishes it to the dead-letter topic. */
  #again(entry: Entry, now: number, backOff: boolean): void {
    this.#endLease(entry)
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

  #endLease(entry: Entry): void {
    this.#host.wheel.drop(entry)
    const { consumer } = entry
    if (!consumer) return
    consumer.outstanding--
    consumer.outstandingBytes -= entry.bytes
    entry.consumer = undefined
  }

  #forget(entry: Entry): void {
    this.#endLease(entry)
    this.#backlog.uncache(entry)
    this.#entries.delete(entry.id)
    entry.state = 'gone'
  }

  /** Reads from the journal until something is ready. Messages that wait for a later attempt are read as well. */
  #refill(): void {
    const now = steadyNow()
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = this.#backlog.page()
      if (page.length === 0) return
      for (const kept of page) this.#enter(kept, now)
    }
    // Other queues get their turn; this one goes on in the next.
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
      leasedAt: 0,
      consumer: undefined,
      seen: false,
    }
    if (kept.body) this.#backlog.cache(entry, kept.body)
    this.#entries.set(entry.id, entry)
    // Another process noted `due`, by a clock that may have been set back since: the longest back-off bounds the wait.
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
