import { Fault } from '../fault.ts'

// A body is the protobuf encoding of a PubsubMessage with the fields a publisher sets (data,
// attributes, ordering_key) and without those the server sets (message_id, publish_time). It is kept
// and delivered as the publisher's own bytes, which are decoded for these checks only.
// Encoding: https://protobuf.dev/programming-guides/encoding/

// Limits: https://cloud.google.com/pubsub/quotas#resource_limits (data there: 10 MB; here MiB)
const MAX_DATA_BYTES = 10 * 1024 * 1024
const MAX_MESSAGES = 1000
/** The most bytes of a publish request: the data of one message, and what surrounds it. */
const MAX_REQUEST_BYTES = MAX_DATA_BYTES + 256 * 1024
const MAX_ATTRIBUTES = 100
const MAX_KEY_BYTES = 256
const MAX_VALUE_BYTES = 1024

const DATA = 1
const ATTRIBUTES = 2
const MESSAGE_ID = 3
const PUBLISH_TIME = 4
const ORDERING_KEY = 5

/** Checks the size of a publish request. @throws Fault when Pub/Sub would refuse it. */
export function checkRequest(messages: readonly Buffer[]): void {
  const count = messages.length
  if (count < 1 || count > MAX_MESSAGES)
    throw new Fault(
      'INVALID_ARGUMENT',
      `A request must have 1 to ${MAX_MESSAGES} messages: this one has ${count}.`,
    )
  const bytes = messages.reduce((sum, message) => sum + message.length, 0)
  // A single message is checked by itself, for a more exact error.
  if (count > 1 && bytes > MAX_REQUEST_BYTES)
    throw new Fault(
      'INVALID_ARGUMENT',
      `The request is too large: ${bytes} bytes of at most ${MAX_REQUEST_BYTES}.`,
    )
}

/**
 * Checks a published PubsubMessage.
 * @returns it without the fields that the server sets.
 * @throws Fault when Pub/Sub would refuse it.
 */
export function publishable(message: Buffer): Buffer {
  const reader = new Reader(message)
  let dataBytes = 0
  let attributes = 0
  let foreign = false
  while (reader.next()) {
    if (reader.field === DATA) dataBytes = reader.bytes().length
    else if (reader.field === ATTRIBUTES) {
      attributes++
      checkAttribute(reader.bytes())
    } else {
      if (reader.field === ORDERING_KEY && reader.bytes().length > MAX_VALUE_BYTES)
        throw new Fault(
          'INVALID_ARGUMENT',
          `The ordering key is longer than ${MAX_VALUE_BYTES} bytes.`,
        )
      if (reader.field === MESSAGE_ID || reader.field === PUBLISH_TIME) foreign = true
      reader.skip()
    }
  }
  if (dataBytes === 0 && attributes === 0)
    throw new Fault(
      'INVALID_ARGUMENT',
      'A message must have data or at least one attribute: this one is empty.',
    )
  if (dataBytes > MAX_DATA_BYTES)
    throw new Fault(
      'INVALID_ARGUMENT',
      `The message is too large: ${dataBytes} bytes of at most ${MAX_DATA_BYTES}.`,
    )
  if (attributes > MAX_ATTRIBUTES)
    throw new Fault(
      'INVALID_ARGUMENT',
      `The message has ${attributes} attributes, of at most ${MAX_ATTRIBUTES}.`,
    )
  return foreign ? without(message, [MESSAGE_ID, PUBLISH_TIME]) : message
}

/**
 * The message with further attributes. An existing one is replaced, because of two entries with one key the last
 * counts.
 */
export function withAttributes(
  body: Buffer,
  attributes: Readonly<Record<string, string>>,
): Buffer {
  const parts = [body]
  for (const [key, value] of Object.entries(attributes)) {
    const entry = Buffer.concat([field(1, Buffer.from(key)), field(2, Buffer.from(value))])
    parts.push(field(ATTRIBUTES, entry))
  }
  return Buffer.concat(parts)
}

/** Reads the fields of an encoded message one by one. @throws Fault when it is malformed. */
export class Reader {
  readonly #buffer: Buffer
  #at = 0
  #end: number
  #wire = 0
  field = 0

  constructor(buffer: Buffer) {
    this.#buffer = buffer
    this.#end = buffer.length
  }

  /** Goes to the next field; the last one must have been read or skipped. */
  next(): boolean {
    if (this.#at >= this.#end) return false
    const tag = this.#varint()
    this.field = tag >>> 3
    this.#wire = tag & 7
    if (this.field === 0) throw malformed()
    this.#peeked = -1
    return true
  }

  #peeked = -1

  /** The bytes of a length-delimited field, without a copy. May be called again for the same field. */
  bytes(): Buffer {
    if (this.#peeked >= 0) return this.#buffer.subarray(this.#peeked, this.#at)
    if (this.#wire !== 2) throw malformed()
    const length = this.#varint()
    if (this.#at + length > this.#end) throw malformed()
    this.#peeked = this.#at
    this.#at += length
    return this.#buffer.subarray(this.#peeked, this.#at)
  }

  text(): string {
    return this.bytes().toString()
  }

  /** A varint field below 2^53. */
  number(): number {
    if (this.#wire !== 0) throw malformed()
    return this.#varint()
  }

  /** One element, or a packed run, of a repeated varint field. */
  numbers(): number[] {
    if (this.#wire === 0) return [this.#varint()]
    const packed = this.bytes()
    const reader = new Reader(packed)
    const numbers: number[] = []
    while (reader.#at < reader.#end) numbers.push(reader.#varint())
    return numbers
  }

  skip(): void {
    if (this.#peeked >= 0) return
    if (this.#wire === 0) this.#varint()
    else if (this.#wire === 2) this.bytes()
    else if (this.#wire === 1) this.#at += 8
    else if (this.#wire === 5) this.#at += 4
    else throw malformed()
    if (this.#at > this.#end) throw malformed()
  }

  #varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.#buffer[this.#at++]
      if (byte === undefined) throw malformed()
      value += (byte & 127) * scale
      if (byte < 128) return value
      scale *= 128
    }
    throw malformed()
  }
}

function checkAttribute(entry: Buffer): void {
  const reader = new Reader(entry)
  let keyBytes = 0
  while (reader.next()) {
    const bytes = reader.bytes().length
    if (reader.field === 1) keyBytes = bytes
    if (reader.field === 1 && /^goog(?!client_)/.test(reader.text()))
      throw new Fault('INVALID_ARGUMENT', 'An attribute\'s key may not begin with "goog".')
    if (reader.field === 1 && bytes > MAX_KEY_BYTES)
      throw new Fault(
        'INVALID_ARGUMENT',
        `An attribute's key has ${bytes} bytes, of at most ${MAX_KEY_BYTES}.`,
      )
    if (reader.field === 2 && bytes > MAX_VALUE_BYTES)
      throw new Fault(
        'INVALID_ARGUMENT',
        `An attribute's value has ${bytes} bytes, of at most ${MAX_VALUE_BYTES}.`,
      )
  }
  if (keyBytes === 0) throw new Fault('INVALID_ARGUMENT', "An attribute's key is empty.")
}

function without(message: Buffer, fields: readonly number[]): Buffer {
  const parts: Buffer[] = []
  const reader = new Reader(message)
  while (reader.next()) {
    if (fields.includes(reader.field)) reader.skip()
    else parts.push(field(reader.field, reader.bytes()))
  }
  return Buffer.concat(parts)
}

function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(content.length), content])
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
  bytes.push(value)
  return Buffer.from(bytes)
}

function malformed(): Fault {
  return new Fault('INVALID_ARGUMENT', 'The request is not the protobuf message it should be.')
}
