import { Fault } from '../fault.ts'
import type { Lease } from '../lease.ts'
import { Reader } from './body.ts'
import { type AckId, ackId, parseAckId } from './operations.ts'

// The messages of google.pubsub.v1 that are sent thousands of times a second, decoded and encoded by
// hand, so that bodies stay the publisher's own bytes. Field numbers: google/pubsub/v1/pubsub.proto

interface PublishRequest {
  readonly topic: string
  readonly messages: Buffer[]
}

interface SettleRequest {
  readonly subscription: string
  readonly ackIds: AckId[]
  readonly ackDeadlineSeconds: number
}

export interface StreamingPullRequest {
  readonly subscription: string
  readonly ackIds: AckId[]
  readonly modifyDeadlineSeconds: number[]
  readonly modifyDeadlineAckIds: AckId[]
  readonly streamAckDeadlineSeconds: number
  readonly maxOutstandingMessages: number
  readonly maxOutstandingBytes: number
}

// grpc-js turns a deserializer's exception into an INTERNAL error, so faults are passed as values.
export type Decoded<T> = T | Fault

export function decodePublish(bytes: Buffer): Decoded<PublishRequest> {
  return decode(bytes, (reader) => {
    let topic = ''
    const messages: Buffer[] = []
    while (reader.next()) {
      if (reader.field === 1) topic = reader.text()
      else if (reader.field === 2) messages.push(reader.bytes())
      else reader.skip()
    }
    return { topic, messages }
  })
}

/** A decoder of AcknowledgeRequest (field 2) or ModifyAckDeadlineRequest (field 4): they differ in that number. */
export function decodeSettle(ackIdsField: 2 | 4): (bytes: Buffer) => Decoded<SettleRequest> {
  return (bytes) =>
    decode(bytes, (reader) => {
      let subscription = ''
      let ackDeadlineSeconds = 0
      const ackIds: AckId[] = []
      while (reader.next()) {
        if (reader.field === 1) subscription = reader.text()
        else if (reader.field === ackIdsField) ackIds.push(parseAckId(reader.text()))
        else if (reader.field === 3) ackDeadlineSeconds = reader.number()
        else reader.skip()
      }
      return { subscription, ackIds, ackDeadlineSeconds }
    })
}

export function decodeStreamingPull(bytes: Buffer): Decoded<StreamingPullRequest> {
  return decode(bytes, (reader) => {
    let subscription = ''
    let streamAckDeadlineSeconds = 0
    let maxOutstandingMessages = 0
    let maxOutstandingBytes = 0
    const ackIds: AckId[] = []
    const modifyDeadlineSeconds: number[] = []
    const modifyDeadlineAckIds: AckId[] = []
    while (reader.next()) {
      if (reader.field === 1) subscription = reader.text()
      else if (reader.field === 2) ackIds.push(parseAckId(reader.text()))
      else if (reader.field === 3) modifyDeadlineSeconds.push(...reader.numbers())
      else if (reader.field === 4) modifyDeadlineAckIds.push(parseAckId(reader.text()))
      else if (reader.field === 5) streamAckDeadlineSeconds = reader.number()
      else if (reader.field === 7) maxOutstandingMessages = reader.number()
      else if (reader.field === 8) maxOutstandingBytes = reader.number()
      else reader.skip()
    }
    return {
      subscription,
      ackIds,
      modifyDeadlineSeconds,
      modifyDeadlineAckIds,
      streamAckDeadlineSeconds,
      maxOutstandingMessages,
      maxOutstandingBytes,
    }
  })
}

/** Encodes a PublishResponse. */
export function encodePublished(ids: readonly number[]): Buffer {
  const writer = new Writer(ids.length * 18)
  for (const id of ids) writer.text(1, String(id))
  return writer.done()
}

/**
 * Encodes a PullResponse or a StreamingPullResponse: both have received_messages as field 1. `counted`: with delivery
 * attempts.
 */
export function encodeLeases(leases: readonly Lease[], counted: boolean): Buffer {
  let size = 0
  for (const { body } of leases) size += body.length + LEASE_OVERHEAD
  const writer = new Writer(size)
  for (const lease of leases) {
    const id = String(lease.id)
    const ack = ackId(lease)
    const microseconds = lease.id % 1_000_000
    const seconds = (lease.id - microseconds) / 1_000_000
    const nanos = microseconds * 1000
    const timeLength = 2 + varintLength(seconds) + varintLength(nanos)
    const messageLength = lease.body.length + 2 + id.length + 2 + timeLength
    const attemptLength = counted ? 1 + varintLength(lease.attempt) : 0
    const length =
      2 + ack.length + 1 + varintLength(messageLength) + messageLength + attemptLength
    writer.open(1, length) // received_messages
    writer.text(1, ack) // ack_id
    writer.open(2, messageLength) // message
    writer.raw(lease.body)
    writer.text(3, id) // message_id
    writer.open(4, timeLength) // publish_time
    writer.number(1, seconds)
    writer.number(2, nanos)
    if (counted) writer.number(3, lease.attempt) // delivery_attempt
  }
  return writer.done()
}

/** The most bytes that a lease needs besides its body, rounded up. */
const LEASE_OVERHEAD = 100

class Writer {
  readonly #buffer: Buffer
  #at = 0

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  /** Writes the start of a length-delimited field. */
  open(field: number, length: number): void {
    this.#buffer[this.#at++] = field * 8 + 2
    this.#varint(length)
  }

  /** Writes a string field of at most 127 characters of ASCII. */
  text(field: number, text: string): void {
    this.#buffer[this.#at++] = field * 8 + 2
    this.#buffer[this.#at++] = text.length
    this.#at += this.#buffer.write(text, this.#at, 'latin1')
  }

  number(field: number, value: number): void {
    this.#buffer[this.#at++] = field * 8
    this.#varint(value)
  }

  raw(bytes: Buffer): void {
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  done(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  #varint(value: number): void {
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128))
      this.#buffer[this.#at++] = (rest % 128) | 128
    this.#buffer[this.#at++] = rest
  }
}

function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  return length
}

function decode<T>(bytes: Buffer, read: (reader: Reader) => T): Decoded<T> {
  try {
    return read(new Reader(bytes))
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
}
