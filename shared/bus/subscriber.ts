import { backOff } from '../async/retry.ts'
import type { Delivery, Settlement, SubscribeOptions, Subscriber } from './bus.ts'
import { WorkQueue } from './work-queue.ts'

/** A message as the client library hands it over. */
export interface Held {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  /** The number of this delivery, from 1; 0 if the subscription does not count them. */
  readonly deliveryAttempt: number
  readonly publishTime: Date
  ack(): void
  nack(): void
}

/** A stream of messages: the client library's `Subscription`. It closes itself after a fault that it does not retry. */
export interface Stream {
  on(event: 'message', listener: (message: Held) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(
    event: 'debug',
    listener: (notice: { readonly error?: Error | undefined }) => void,
  ): unknown
  /** Resolves when the running messages have been settled and their acks are sent. */
  close(): Promise<void>
}

const REOPEN = { firstMs: 100, mostMs: 5000 }

/** Keeps a stream of messages open until `close`: opens it again, with back-off, whenever the library gives up. */
export class StreamSubscriber implements Subscriber {
  heard = new Date()
  readonly #openStream: () => Stream
  readonly #onError: (error: Error) => void
  readonly #queue: WorkQueue<Held>
  readonly #closing = new Set<Promise<void>>()
  #stream: Stream | undefined
  #wanted = true
  #isClosed = false
  readonly #reopening = backOff(REOPEN)
  #timer: NodeJS.Timeout | undefined

  constructor(
    openStream: () => Stream,
    { concurrency, onError }: SubscribeOptions,
    handler: (delivery: Delivery) => Promise<Settlement>,
  ) {
    this.#openStream = openStream
    this.#onError = onError
    this.#queue = new WorkQueue(
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
      // Messages that the library still held when the stream was dropped are given back at once.
      if (stream !== this.#stream) {
        message.nack()
        return
      }
      this.heard = new Date()
      this.#reopening.reset()
      this.#queue.add(message)
    })
    stream.on('error', (error) => {
      this.#onError(error)
      if (stream === this.#stream) this.#reopen()
    })
    stream.on('debug', (notice) => {
      if (notice.error) this.#onError(notice.error)
    })
  }

  /** Opens the stream again after a fault that the library does not retry: no such subscription, no permission. */
  #reopen(): void {
    this.#drop()
    this.#timer = setTimeout(() => this.#open(), this.#reopening.next())
  }

  /** Gives back the waiting messages and ends the stream. Running handlers go on, and their acks are still sent. */
  #drop(): void {
    for (const message of this.#queue.clear()) message.nack()
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
