import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { isLoopback, namesOf } from '#shared/frame/door.ts'
import { guarding, type Reserved } from './api/access.ts'
import { grpcFront } from './api/grpc.ts'
import { pubsubMethods } from './api/protos.ts'
import { pusher } from './api/push.ts'
import { restFront } from './api/rest.ts'
import { Broker } from './broker.ts'
import { SqliteJournal } from './sqlite-journal.ts'

interface PubsubServerOptions {
  /** The port to listen on; 0: any free port. */
  readonly port: number
  /**
   * The address to listen on. Default: 127.0.0.1, because every client that reaches the port may use what is not
   * reserved.
   */
  readonly host?: string
  /** The SQLite file that holds everything; made when absent. `:memory:` keeps nothing. */
  readonly file: string
  /** Topics and subscriptions that need the token. Default: none. */
  readonly reserved?: Reserved | undefined
  /** The most bytes of message bodies in memory. Default: 64 MiB. */
  readonly cacheBytes?: number
  /** Called when the file can no longer be written. The process should end: nothing is accepted any more. */
  readonly onFatal?: (error: Error) => void
}

export interface PubsubServer {
  readonly port: number
  /** Commits what has been accepted, and ends all connections. */
  close(): Promise<void>
}

/**
 * A durable server with the API of Cloud Pub/Sub on one port: gRPC for the client libraries, REST/JSON for gcloud. It
 * is for one machine and does not scale out. Requests that were answered survive the death of the process at any
 * instant; a loss of power may lose the last moments.
 * Not supported, and refused: ordering, exactly-once delivery, filters and schemas.
 * @throws when the port is taken or the file cannot be used.
 */
export async function startPubsubServer(options: PubsubServerOptions): Promise<PubsubServer> {
  const { host = '127.0.0.1' } = options
  const journal = new SqliteJournal(options.file)
  const methods = pubsubMethods()
  const broker = new Broker(journal, {
    onFatal: options.onFatal ?? fail,
    // Clients of other machines could else send requests to what listens on loopback alone.
    ...(isLoopback(host) && { push: pusher(methods) }),
    ...(options.cacheBytes !== undefined && { cacheBytes: options.cacheBytes }),
  })
  const guard = guarding(broker, options.reserved)
  const grpc = grpcFront(broker, methods, guard)
  const rest = restFront(broker, methods, { guard, names: namesOf(host) })
  const sockets = new Set<Socket>()
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    sniff(socket, (isHttp2) =>
      isHttp2 ? grpc.inject(socket) : rest.emit('connection', socket),
    )
  })
  try {
    listener.listen(options.port, host)
    await once(listener, 'listening')
  } catch (error) {
    broker.close()
    journal.close()
    throw error
  }
  return {
    port: (listener.address() as { port: number }).port,
    async close() {
      listener.close()
      broker.close()
      grpc.close()
      rest.close()
      for (const socket of sockets) socket.destroy()
      journal.close()
    },
  }
}

/** An HTTP/2 connection opens with the preface `PRI * HTTP/2.0`: https://www.rfc-editor.org/rfc/rfc9113#section-3.4 */
function sniff(socket: Socket, decided: (isHttp2: boolean) => void): void {
  socket.once('readable', () => {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return sniff(socket, decided)
    socket.unshift(chunk)
    decided(chunk.subarray(0, 3).toString('latin1') === 'PRI')
  })
}

function fail(error: Error): never {
  throw error
}
