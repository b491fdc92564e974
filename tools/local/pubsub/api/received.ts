import type protobuf from 'protobufjs'
import type { Lease } from '../lease.ts'
import { ackId } from './operations.ts'

/**
 * A delivery as google.pubsub.v1.ReceivedMessage. `message`: the type of its message. `counted`: whether it says which
 * attempt it is, as Pub/Sub does where there is a dead-letter policy.
 */
export function received(
  message: protobuf.Type,
  lease: Lease,
  counted: boolean,
): Readonly<Record<string, unknown>> {
  const microseconds = lease.id % 1_000_000
  return {
    ackId: ackId(lease),
    message: {
      ...message.toObject(message.decode(lease.body)),
      messageId: String(lease.id),
      publishTime: { seconds: (lease.id - microseconds) / 1e6, nanos: microseconds * 1000 },
    },
    ...(counted && { deliveryAttempt: lease.attempt }),
  }
}
