import type { Delivery } from '../bus/bus.ts'
import { PermanentError } from '../contracts/errors/chain.ts'
import { countFrom, json, pastInstant } from '../contracts/message.ts'
import { EncodeJob } from '../contracts/messages/encode-job.ts'
import {
  digest,
  type JobId,
  jobId,
  requestIdFrom,
  trackOf,
  withoutBraces,
} from '../contracts/names.ts'
import { stepOf } from '../contracts/topology.ts'

/** Why a dead letter exists. It is stored in the attributes; the body is the job or the message. */
interface LetterReason {
  /** The id of the letter, created once: the same on every copy of it. */
  readonly id: string
  readonly step: string
  readonly code: string
  readonly reason: string
  /** The number of the delivery attempt that failed, from 1. */
  readonly attempt: number
  /** The id of the original message, if the body is a message as it was received. */
  readonly message?: string
}

/** The job that a letter is about. A redrive publishes it. */
interface LetterJob {
  readonly id: JobId
  /** The run that failed. */
  readonly run: number
  /** When the job was accepted, ISO 8601; absent if unknown. */
  readonly accepted?: string
  readonly request: EncodeJob & { readonly request_id: string; readonly asset_guid: string }
}

/** A dead letter as it was received from the dead-letter topic. */
export interface DeadLetter extends LetterReason {
  /** The message id of the letter itself on the dead-letter topic. */
  readonly message: string
  readonly published: Date
  readonly body: Buffer
  readonly attributes: Readonly<Record<string, string>>
  /** The job in the letter; absent if there is none, so that nothing can be redriven. */
  readonly job?: LetterJob
}

/** The attributes of a dead letter. */
export function letterAttributes(reason: LetterReason): Record<string, string> {
  return {
    dead_letter_id: reason.id,
    dead_letter_step: reason.step,
    dead_letter_code: reason.code,
    // Attribute values hold at most 1,024 bytes.
    dead_letter_reason: Buffer.from(reason.reason)
      .subarray(0, 1000)
      .toString('utf8')
      .replace(/\uFFFD+$/, ''),
    dead_letter_attempt: String(reason.attempt),
    ...(reason.message === undefined ? {} : { dead_letter_message: reason.message }),
  }
}

/** The prefix of the attributes that Pub/Sub adds to a message that it dead-letters by itself. */
const NATIVE = 'CloudPubSubDeadLetterSource'

/** The attributes of a message that may be published again: without Pub/Sub's own. */
export function ownAttributes(
  attributes: Readonly<Record<string, string>>,
): Record<string, string> {
  const entries = Object.entries(attributes)
  return Object.fromEntries(
    entries.filter(([key]) => !key.startsWith('goog') && !key.startsWith(NATIVE)),
  )
}

/**
 * Turns a message that can never be processed into a dead letter: its body and attributes, unchanged, and the reason. A
 * message may have 100 attributes, so 90 of its own are kept. Google's own attributes may not be published again, and
 * those of Pub/Sub's own letters would make this letter look like one of them.
 */
export function setAsideAs(
  { id, data, attributes, attempt }: Delivery,
  step: string,
  error: PermanentError,
): { data: Buffer; attributes: Record<string, string> } {
  const entries = Object.entries(ownAttributes(attributes))
  const { code, message: reason } = error
  const own = { id: digest([step, id], 32), message: id, step, code, reason, attempt }
  return {
    data,
    attributes: { ...Object.fromEntries(entries.slice(0, 90)), ...letterAttributes(own) },
  }
}

/**
 * Reads a message from the dead-letter topic. A letter that Pub/Sub itself created after its limit of deliveries has no
 * reason of ours: its code is `CRASHED`, whatever attributes the message has. Never throws, because any publisher may
 * have written the message.
 */
export function readLetter(delivery: Delivery): DeadLetter {
  const { id: message, data: body, attributes } = delivery
  // Copied to a plain Date: the client library's is a subclass with finer precision, and shows it as text.
  const published = new Date(delivery.published)
  const native = attributes[`${NATIVE}Subscription`]
  const of = native === undefined ? attributes.dead_letter_message : undefined
  const job = jobIn(body, attributes, requestIdFrom(of ?? message))
  const letter = { message, published, body, attributes, ...(job === undefined ? {} : { job }) }
  if (native !== undefined) {
    const attempt = countFrom(attributes[`${NATIVE}DeliveryCount`], 1)
    const reason = `delivered ${attempt} times from the subscription ${native}, and never settled`
    const id = digest(['dead-letter', message], 32)
    return { ...letter, id, step: stepOf(native), code: 'CRASHED', reason, attempt }
  }
  const { dead_letter_id = '', dead_letter_step, dead_letter_code } = attributes
  const id = ID.test(dead_letter_id) ? dead_letter_id : digest(['dead-letter', message], 32)
  return {
    ...letter,
    id,
    step: dead_letter_step ?? 'unknown',
    code: dead_letter_code ?? 'NOT_A_MESSAGE',
    reason: attributes.dead_letter_reason ?? 'came to the dead-letter topic without a reason',
    attempt: countFrom(attributes.dead_letter_attempt, 1),
  }
}

const ID = /^[0-9a-f]{32}$/

/** The job in a body, which is the job itself or a message between services with the job as its `request`. */
function jobIn(
  body: Buffer,
  attributes: Readonly<Record<string, string>>,
  requestId: string,
): LetterJob | undefined {
  try {
    const value = json(body, 'the letter') as Record<string, unknown> | null
    const isBetween = typeof value === 'object' && value !== null && 'request' in value
    const { run, accepted } = isBetween ? value : attributes
    const job = EncodeJob.check(isBetween ? value.request : value)
    const request_id = withoutBraces(job.request_id ?? requestId)
    const asset_guid = trackOf(job)
    if (asset_guid === undefined) return undefined
    const since = pastInstant(accepted)
    return {
      id: jobId(request_id, asset_guid),
      run: countFrom(run, 1),
      ...(since === undefined ? {} : { accepted: since }),
      request: { ...job, request_id, asset_guid },
    }
  } catch (error) {
    if (error instanceof PermanentError) return undefined
    throw error
  }
}
