import type { Socket } from 'node:net'
import {
  type Server as GrpcServer,
  type handleUnaryCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type protobuf from 'protobufjs'
import type { Broker } from '../broker.ts'
import { steadyNow } from '../clock.ts'
import { Fault } from '../fault.ts'
import type { Guard } from './access.ts'
import { checkRequest } from './body.ts'
import { checkDeadline, type Operation, operations, pull, someAckIds } from './operations.ts'
import { type Method, plain } from './protos.ts'
import { authorizationOf, streamingPull } from './streaming-pull.ts'
import {
  type Decoded,
  decodePublish,
  decodeSettle,
  decodeStreamingPull,
  encodeLeases,
  encodePublished,
} from './wire.ts'

/** The gRPC front end. It takes sockets whose client speaks HTTP/2. */
interface GrpcFront {
  inject(socket: Socket): void
  /** Ends all connections. */
  close(): void
}

/**
 * Limit of grpc-js, bytes. It is above ours, so that a large request is refused with a sentence, not by a status that
 * clients retry.
 */
const MAX_REQUEST_BYTES = 64 << 20

type Codec = Pick<
  MethodDefinition<unknown, unknown>,
  'requestDeserialize' | 'responseSerialize'
>

export function grpcFront(broker: Broker, methods: readonly Method[], guard: Guard): GrpcFront {
  const server: GrpcServer = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_send_message_length': -1,
    // A client whose machine has vanished is detected after 40 s; its leases go to other clients.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  })
  const streams = streamingPull(broker, guard)
  const handlers: UntypedServiceImplementation = {
    ...administrative(broker, methods, guard),
    ...frequent(broker, guard),
    StreamingPull: streams.handle,
  }
  server.addService(definition(methods), handlers)
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  return {
    inject(socket) {
      const peer = `${socket.remoteAddress}:${socket.remotePort}`
      socket.once('close', () => streams.lost(peer))
      injector.injectConnection(socket)
    },
    close() {
      injector.destroy()
      server.forceShutdown()
    },
  }
}

function frequent(broker: Broker, guard: Guard): UntypedServiceImplementation {
  const unary = guarded(guard)
  const settle = (name: string, each: (request: SettleIn, now: number) => void) =>
    unary<Decoded<SettleIn>, Buffer>(name, (request, done) => {
      if (request instanceof Fault) throw request
      each(request, steadyNow())
      broker.committed(() => done(EMPTY))
    })
  return {
    Publish: unary<ReturnType<typeof decodePublish>, Buffer>('Publish', (request, done) => {
      if (request instanceof Fault) throw request
      checkRequest(request.messages)
      const ids = broker.publish(request.topic, request.messages)
      broker.committed(() => done(encodePublished(ids)))
    }),
    Acknowledge: settle('Acknowledge', ({ subscription, ackIds }) => {
      const queue = broker.queue(subscription)
      for (const { id } of someAckIds(ackIds)) queue.ack(id)
    }),
    ModifyAckDeadline: settle(
      'ModifyAckDeadline',
      ({ subscription, ackIds, ackDeadlineSeconds }, now) => {
        checkDeadline(ackDeadlineSeconds)
        const queue = broker.queue(subscription)
        for (const { id, attempt } of someAckIds(ackIds))
          queue.modify(id, attempt, ackDeadlineSeconds, now)
      },
    ),
    Pull: unary<PullIn, Buffer>(
      'Pull',
      ({ subscription, maxMessages, returnImmediately }, done, call) => {
        const counted = broker.queue(subscription).config.deadLetterPolicy !== undefined
        const withdraw = pull(
          broker,
          { subscription, max: maxMessages, wait: !returnImmediately },
          (leases) => done(encodeLeases(leases, counted)),
        )
        call.on('cancelled', withdraw)
      },
    ),
  }
}

interface SettleIn {
  readonly subscription: string
  readonly ackIds: readonly { readonly id: number; readonly attempt: number }[]
  readonly ackDeadlineSeconds: number
}

interface PullIn {
  readonly subscription: string
  readonly maxMessages: number
  readonly returnImmediately: boolean
}

const EMPTY = Buffer.alloc(0)

function administrative(
  broker: Broker,
  methods: readonly Method[],
  guard: Guard,
): UntypedServiceImplementation {
  const unary = guarded(guard)
  const known = operations(broker, methods)
  return Object.fromEntries(
    methods.map(({ name, request: type }) => [
      name,
      unary<protobuf.Message, object>(name, (request, done) => {
        const operation: Operation | undefined = known[name]
        if (!operation) throw new Fault('FAILED_PRECONDITION', `This server has no ${name}.`)
        const response = operation(plain(type, request))
        broker.committed(() => done(response))
      }),
    ]),
  )
}

function guarded(guard: Guard) {
  return <In, Out>(
    name: string,
    handle: (
      request: In,
      done: (response: Out) => void,
      call: Parameters<handleUnaryCall<In, Out>>[0],
    ) => void,
  ): handleUnaryCall<In, Out> =>
    (call, callback) => {
      try {
        guard(name, call.request as object, authorizationOf(call))
        handle(call.request, (response) => callback(null, response), call)
      } catch (error) {
        callback(error as Error)
      }
    }
}

function definition(methods: readonly Method[]): ServiceDefinition {
  return Object.fromEntries(
    methods.map((method) => {
      const codec = CODECS[method.name] ?? generic(method)
      return [
        method.name,
        {
          path: method.path,
          originalName: method.name,
          requestStream: method.streaming,
          responseStream: method.streaming,
          requestSerialize: raw,
          responseDeserialize: raw,
          ...codec,
        },
      ]
    }),
  )
}

const raw = (bytes: unknown): Buffer => bytes as Buffer

const CODECS: Record<string, Codec> = {
  Publish: { requestDeserialize: decodePublish, responseSerialize: raw },
  Acknowledge: { requestDeserialize: decodeSettle(2), responseSerialize: raw },
  ModifyAckDeadline: { requestDeserialize: decodeSettle(4), responseSerialize: raw },
  StreamingPull: { requestDeserialize: decodeStreamingPull, responseSerialize: raw },
}

function generic(method: Method): Codec {
  return {
    requestDeserialize: (bytes) => method.request.decode(bytes),
    responseSerialize: (response) =>
      Buffer.isBuffer(response)
        ? response
        : Buffer.from(
            method.response.encode(method.response.fromObject(response as object)).finish(),
          ),
  }
}
