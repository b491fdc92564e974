import type protobuf from 'protobufjs'
import type { Fault } from '../fault.ts'
import type { Consumer, Lease } from '../lease.ts'
import type { Queue } from '../queue.ts'
import { toJson } from './json.ts'
import type { Method } from './protos.ts'
import { received } from './received.ts'

// https://cloud.google.com/pubsub/docs/push

/** Answers that acknowledge a message. */
const ACKS = [200, 201, 202, 204]
/** How long nothing is pushed after a failure, ms; it doubles with each further one in a row. */
const PAUSE_MS = { first: 100, longest: 60_000 }
/** The most messages that are under way to an endpoint; it begins with one, and each success allows one more. */
const MAX_AT_ONCE = 100
const MAX_BYTES_AT_ONCE = 10 << 20

/** Makes what pushes the messages of a queue to an endpoint. */
export function pusher(
  methods: readonly Method[],
): (queue: Queue, endpoint: string) => Consumer {
  const pull = methods.find(({ name }) => name === 'Pull') as Method
  const type = pull.response.fields.receivedMessages?.resolve().resolvedType as protobuf.Type
  const message = type.fields.message?.resolve().resolvedType as protobuf.Type
  return (queue, endpoint) => {
    const body = (lease: Lease) => {
      const { name, deadLetterPolicy } = queue.config
      const { ackId: _, ...pushed } = received(message, lease, deadLetterPolicy !== undefined)
      return JSON.stringify({ ...toJson(type, pushed), subscription: name })
    }
    return new Pusher(queue, endpoint, body)
  }
}

class Pusher implements Consumer {
  readonly maxBytes = MAX_BYTES_AT_ONCE
  maxMessages = 1
  outstanding = 0
  outstandingBytes = 0
  blocked = false
  readonly #queue: Queue
  readonly #endpoint: string
  readonly #body: (lease: Lease) => string
  readonly #ended = new AbortController()
  #failures = 0

  constructor(queue: Queue, endpoint: string, body: (lease: Lease) => string) {
    this.#queue = queue
    this.#endpoint = endpoint
    this.#body = body
  }

  /** Longer than an answer may take, so that what is refused for its lateness is given back. */
  get leaseMs(): number {
    return this.#answerMs + 1000
  }

  get #answerMs(): number {
    return this.#queue.config.ackDeadlineSeconds * 1000
  }

  deliver(leases: readonly Lease[]): void {
    for (const lease of leases) void this.#push(lease)
  }

  end(_: Fault): void {
    this.#ended.abort()
  }

  async #push(lease: Lease): Promise<void> {
    const isAcked = await this.#post(lease).catch(() => false)
    if (this.#ended.signal.aborted) return
    if (isAcked) {
      this.#failures = 0
      this.maxMessages = Math.min(MAX_AT_ONCE, this.maxMessages + 1)
      this.#queue.ack(lease.id)
    } else {
      this.#pause()
      this.#queue.modify(lease.id, lease.attempt, 0)
    }
  }

  async #post(lease: Lease): Promise<boolean> {
    const deadline = AbortSignal.timeout(this.#answerMs)
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: this.#body(lease),
      redirect: 'manual',
      signal: AbortSignal.any([this.#ended.signal, deadline]),
    })
    await response.body?.cancel()
    return ACKS.includes(response.status)
  }

  #pause(): void {
    this.maxMessages = Math.ceil(this.maxMessages / 2)
    // Of those that fail together the first one counts.
    if (this.blocked) return
    this.blocked = true
    const ms = Math.min(PAUSE_MS.longest, PAUSE_MS.first * 2 ** this.#failures++)
    setTimeout(() => {
      this.blocked = false
      this.#queue.wake()
    }, ms).unref()
  }
}
