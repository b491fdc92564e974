import type { Delivery, Settlement, SubscribeOptions, Subscriber } from './bus.ts'
import { Intake } from './intake.ts'

/** A message as the client library hands it over. */
export interface Held {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  /** 0 where attempts are not counted. */
  readonly deliveryAttempt: number
  readonly publishTime: Date
  ack(): void
  nack(): void
}

/** What the client library calls a subscription. It closes itself after a fault that it does not retry. */
export interface Stream {
  on(event: 'message', listener: (message: Held) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(
    event: 'debug',
    listener: (notice: { readonly error?: Error | undefined }) => void,
  ): unknown
  /** Resolves when what runs has been settled and the acks are sent. */
  close(): Promise<void>
}

const REOPEN_MIN_MS = 100
const REOPEN_MAX_MS = 5000

/** Keeps a stream of messages open, and anew whenever the library gives it up, until it is closed. */
export class StreamSubscriber implements Subscriber {
  heard = new Date()
  readonly #openStream: () => Stream
  readonly #onError: (error: Error) => void
  readonly #intake: Intake<Held>
  readonly #closing = new Set<Promise<void>>()
  #stream: Stream | undefined
  #wanted = true
  #isClosed = false
  #reopenMs = REOPEN_MIN_MS
  #timer: NodeJS.Timeout | undefined

  constructor(
    openStream: () => Stream,
    { concurrency, onError }: SubscribeOptions,
    handler: (delivery: Delivery) => Promise<Settlement>,
  ) {
    this.#openStream = openStream
    this.#onError = onError
    this.#intake = new Intake(
      concurrency,
      async (message) => {
        if ((await handler(delivery(message))) === 'ack') message.ack()
        else message.nack()
      },
      (message, error) => {
        message.nack()
        onError(error)
      },
    )
    this.#open()
  }

  pause(): void {
    this.#wanted = false
    clearTimeout(this.#timer)
    this.#drop()
  }

  resume(): void {
    if (this.#wanted || this.#isClosed) return
    this.#wanted = true
    this.#open()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.pause()
    await Promise.all(this.#closing)
  }

  #open(): void {
    this.heard = new Date()
    const stream = this.#openStream()
    this.#stream = stream
    stream.on('message', (message) => {
      // What the library had in hand when the stream was dropped goes back at once.
      if (stream !== this.#stream) {
        message.nack()
        return
      }
      this.heard = new Date()
      this.#reopenMs = REOPEN_MIN_MS
      this.#intake.add(message)
    })
    stream.on('error', (error) => {
      this.#onError(error)
      if (stream === this.#stream) this.#reopen()
    })
    stream.on('debug', (notice) => {
      if (notice.error) this.#onError(notice.error)
    })
  }

  /** After a fault that the library does not retry: no such subscription, no permission. */
  #reopen(): void {
    this.#drop()
    this.#timer = setTimeout(() => this.#open(), this.#reopenMs * (0.5 + Math.random()))
    this.#reopenMs = Math.min(this.#reopenMs * 2, REOPEN_MAX_MS)
  }

  /** Gives back what waits and ends the stream; what runs goes on, and its acks are still sent. */
  #drop(): void {
    for (const message of this.#intake.clear()) message.nack()
    const stream = this.#stream
    this.#stream = undefined
    if (!stream) return
    const closing: Promise<void> = stream
      .close()
      .catch(this.#onError)
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}

function delivery(message: Held): Delivery {
  return {
    id: message.id,
    data: message.data,
    attributes: message.attributes,
    attempt: Math.max(1, message.deliveryAttempt),
    published: message.publishTime,
  }
}
