import { type handleBidiStreamingCall, Metadata, type ServerDuplexStream } from '@grpc/grpc-js'
import type { Broker } from '../broker.ts'
import { steadyNow } from '../clock.ts'
import { Fault } from '../fault.ts'
import type { Consumer, Lease } from '../lease.ts'
import type { Queue } from '../queue.ts'
import type { Guard } from './access.ts'
import { checkDeadline } from './operations.ts'
import { type Decoded, encodeLeases, type StreamingPullRequest } from './wire.ts'

type Call = ServerDuplexStream<Decoded<StreamingPullRequest>, Buffer>

/**
 * After this long, messages that a client had not seen when it closed its stream go to others, ms: it may have dropped
 * them.
 */
const IN_FLIGHT_MS = 1_000

/**
 * Streaming pulls with flow control per stream. A client that closes its stream keeps its leases:
 * it may still finish and settle them. A client whose connection is gone loses them all.
 */
export function streamingPull(
  broker: Broker,
  guard: Guard,
): {
  handle: handleBidiStreamingCall<Decoded<StreamingPullRequest>, Buffer>
  /** The connection of this peer is gone. */
  lost(peer: string): void
} {
  const byPeer = new Map<string, Set<Stream>>()
  return {
    handle(call) {
      const peer = call.getPeer()
      let stream: Stream | undefined
      call.on('data', (request: Decoded<StreamingPullRequest>) => {
        try {
          if (request instanceof Fault) throw request
          if (stream) stream.settle(request)
          else {
            guard('StreamingPull', request, authorizationOf(call))
            stream = new Stream(broker.pulledQueue(request.subscription), call, request)
            remember(byPeer, peer, stream)
          }
        } catch (error) {
          stream?.leave()
          call.emit('error', error)
        }
      })
      call.on('end', () => {
        stream?.leave()
        call.end()
      })
      call.on('cancelled', () => stream?.leave())
      call.on('error', () => stream?.leave())
    },
    lost(peer) {
      for (const stream of byPeer.get(peer) ?? []) stream.die()
      byPeer.delete(peer)
    },
  }
}

/** The authorization metadata of a call; undefined when there is none. */
export function authorizationOf(call: { readonly metadata: Metadata }): string | undefined {
  const [given] = call.metadata.get('authorization')
  return typeof given === 'string' ? given : undefined
}

function remember(byPeer: Map<string, Set<Stream>>, peer: string, stream: Stream): void {
  const streams = byPeer.get(peer) ?? new Set()
  for (const old of streams) if (old.left && old.outstanding === 0) streams.delete(old)
  byPeer.set(peer, streams.add(stream))
}

class Stream implements Consumer {
  readonly maxMessages: number
  readonly maxBytes: number
  leaseMs = 10_000
  outstanding = 0
  outstandingBytes = 0
  blocked = false
  left = false
  readonly #queue: Queue
  readonly #call: Call

  /** @throws Fault */
  constructor(queue: Queue, call: Call, first: StreamingPullRequest) {
    this.#queue = queue
    this.#call = call
    // 0 and below: no limit.
    this.maxMessages = first.maxOutstandingMessages || Number.POSITIVE_INFINITY
    this.maxBytes = first.maxOutstandingBytes || Number.POSITIVE_INFINITY
    if (!(first.streamAckDeadlineSeconds >= 10 && first.streamAckDeadlineSeconds <= 600))
      throw new Fault(
        'INVALID_ARGUMENT',
        `streamAckDeadlineSeconds must be between 10 and 600: ${first.streamAckDeadlineSeconds}.`,
      )
    call.sendMetadata(new Metadata())
    this.settle(first)
    queue.attach(this)
  }

  settle(request: StreamingPullRequest): void {
    if (request.streamAckDeadlineSeconds) this.leaseMs = request.streamAckDeadlineSeconds * 1000
    for (const { id } of request.ackIds) this.#queue.ack(id)
    const now = steadyNow()
    request.modifyDeadlineAckIds.forEach(({ id, attempt }, i) => {
      const leaseSeconds = request.modifyDeadlineSeconds[i] ?? 0
      checkDeadline(leaseSeconds)
      this.#queue.modify(id, attempt, leaseSeconds, now)
    })
  }

  deliver(leases: readonly Lease[]): void {
    const counted = this.#queue.config.deadLetterPolicy !== undefined
    if (this.#call.write(encodeLeases(leases, counted))) return
    this.blocked = true
    this.#call.once('drain', () => {
      this.blocked = false
      this.#queue.wake()
    })
  }

  end(fault: Fault): void {
    this.left = true
    this.#call.emit('error', fault)
  }

  /** The client has closed its stream. */
  leave(): void {
    if (this.left) return
    this.left = true
    this.#queue.detach(this, 'none')
    setTimeout(() => this.#queue.detach(this, 'unseen'), IN_FLIGHT_MS).unref()
  }

  /** The client's connection is gone. */
  die(): void {
    this.left = true
    this.#queue.detach(this, 'all')
  }
}
