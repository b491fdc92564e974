import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Behaviour, gcsApi } from './gcs-api.ts'
import { failure, type Reply, type StoredObject } from './gcs-replies.ts'

/** A fault that the next matching requests get instead of, or in addition to, a correct response. */
export interface Fault {
  /** Only requests whose `METHOD /path?query range` matches. */
  readonly on?: RegExp
  /** How many requests get it. Default: 1. */
  times?: number
  /** Respond with this status, and do nothing. */
  readonly status?: number
  /** With `status`: the header Retry-After, seconds. */
  readonly retryAfter?: number
  /** Carry out the request, then cut the connection instead of responding. */
  readonly loseAnswer?: true
  /** Cut the connection after this many bytes of the response's body (0: before the headers). */
  readonly resetAfter?: number
  /** Cut the connection after this many bytes of the request's body; sessions keep whole units of 256 KiB of them. */
  readonly cutUploadAfter?: number
  /** Send this many bytes of the response's body, then nothing, and keep the connection open (0: not even headers). */
  readonly hangAfter?: number
  /** Delay before the request is carried out, milliseconds. */
  readonly delayMs?: number
  /**
   * Flip a bit of this byte of the request's body on its way; negative: counted from the end; beyond the body: no
   * effect.
   */
  readonly flipUp?: number
  /** Flip a bit of this byte of the response's body on its way, as `flipUp` does. */
  readonly flipDown?: number
  /** Omit this many bytes at the end of an object, with headers for the shorter one. */
  readonly short?: number
  /** Respond to a ranged read with 200 and the whole object, as Google's test bench does on a broken stream. */
  readonly ignoreRange?: true
  /** Further headers of the response. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface GcsServer extends Behaviour {
  readonly endpoint: string
  /** All objects by bucket and name. */
  readonly buckets: Map<string, Map<string, StoredObject>>
  /** `METHOD /path?query` and range of every request so far. */
  readonly requests: { line: string; range: string | undefined; origin?: string | undefined }[]
  /** Pending faults; a request gets the first that matches. */
  readonly faults: Fault[]
  /** How far its clock is ahead, ms. */
  clockAheadMs: number
  /** Called with every body on its way up and down; returns the body to use instead. */
  onTheWay: ((body: Buffer, way: 'up' | 'down') => Buffer) | undefined
  /** Requests that the identity lacks permission for, by `METHOD /path?query`: they get 403. */
  denied: RegExp | undefined
  /** Stores an object, and overwrites an existing one. */
  put(bucket: string, name: string, bytes: Uint8Array): void
  /** Cuts every open connection. */
  cut(): void
  close(): Promise<void>
}

/**
 * An in-memory stand-in for Cloud Storage: enough of its JSON API for our driver and for Google's own clients. It
 * misbehaves on command.
 */
export async function startGcsServer(...bucketNames: readonly string[]): Promise<GcsServer> {
  const buckets = new Map(
    bucketNames.map((name) => [name, new Map<string, StoredObject>()] as const),
  )
  const sockets = new Set<Socket>()

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    // Node removes the socket from the request once the body has ended or was aborted.
    const { socket } = request
    const url = new URL(request.url ?? '/', server.endpoint)
    const line = `${request.method} ${request.url}`
    const range = request.headers.range ?? request.headers['content-range']
    server.requests.push({ line, range, origin: request.headers.origin })
    const fault = nextFault(server.faults, `${line} ${range ?? ''}`)
    if (fault?.delayMs) await sleep(fault.delayMs)
    const chunks: Buffer[] = []
    let received = 0
    for await (const chunk of request) {
      chunks.push(chunk)
      received += chunk.length
      if (fault?.cutUploadAfter !== undefined && received >= fault.cutUploadAfter) break
    }
    const sent = flipped(Buffer.concat(chunks), fault?.flipUp)
    const body = server.onTheWay?.(sent, 'up') ?? sent
    if (fault?.cutUploadAfter !== undefined) {
      const start = Number(/^bytes (\d+)-/.exec(range ?? '')?.[1])
      api.keep(url, start, body.subarray(0, fault.cutUploadAfter))
      return socket.destroy()
    }
    if (fault?.hangAfter === 0) return
    if (fault?.resetAfter === 0) return socket.resetAndDestroy()
    if (fault?.status !== undefined) {
      const wait =
        fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) }
      return respond(response, { ...failure(fault.status, 'on command'), headers: wait })
    }
    if (server.denied?.test(line))
      return respond(response, failure(403, 'This identity does not have access.'))
    if (fault?.ignoreRange) delete request.headers.range
    const reply = spoilt(api.route(url, request, body), fault, server.onTheWay)
    if (fault?.loseAnswer) return socket.resetAndDestroy()
    const only = fault?.resetAfter ?? fault?.hangAfter
    if (only === undefined || !reply.media) return respond(response, reply)
    response.writeHead(reply.status, { ...reply.headers, 'content-length': reply.media.length })
    response.write(reply.media.subarray(0, only), () => {
      // The bytes must leave the machine before the reset overtakes them.
      if (fault?.resetAfter !== undefined) setTimeout(() => socket.destroy(), 100)
    })
  }

  const http = createServer((request, response) => {
    response.setHeader('date', new Date(Date.now() + server.clockAheadMs).toUTCString())
    answer(request, response).catch((error) => {
      if (!response.headersSent) respond(response, failure(500, String(error)))
    })
  })
  http.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((listening) => http.listen(0, '127.0.0.1', listening))

  const server: GcsServer = {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    buckets,
    requests: [],
    faults: [],
    pageSize: 1000,
    settings: new Map(),
    clockAheadMs: 0,
    isCareless: false,
    denied: undefined,
    onTheWay: undefined,
    mismatchStatus: 400,
    put: (bucket, name, bytes) => api.put(bucket, name, bytes),
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      const closed = new Promise((done) => http.close(done))
      server.cut()
      await closed
    },
  }
  const api = gcsApi(buckets, server)
  return server
}

/** The response as it arrives, with the fault applied. */
function spoilt(
  reply: Reply,
  { flipDown, short, headers }: Fault = {},
  onTheWay?: GcsServer['onTheWay'],
): Reply {
  const media = reply.media?.subarray(0, reply.media.length - (short ?? 0))
  const body = media ?? Buffer.from(reply.json === undefined ? '' : JSON.stringify(reply.json))
  const type = reply.json === undefined ? {} : { 'content-type': JSON_TYPE }
  return {
    ...reply,
    headers: { ...type, ...reply.headers, ...headers },
    ...(media !== undefined || flipDown !== undefined || onTheWay !== undefined
      ? { json: undefined, media: onTheWay?.(body, 'down') ?? flipped(body, flipDown) }
      : {}),
  }
}

function flipped(bytes: Buffer, at: number | undefined): Buffer {
  const index = at === undefined ? -1 : at < 0 ? bytes.length + at : at
  if (index < 0 || index >= bytes.length) return bytes
  const other = Buffer.from(bytes)
  other[index] = (other[index] as number) ^ 4
  return other
}

const JSON_TYPE = 'application/json; charset=UTF-8'

function respond(response: ServerResponse, { status, headers, json, media }: Reply): void {
  const body =
    media ?? (json === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(json)))
  response.writeHead(status, {
    ...(json === undefined ? {} : { 'content-type': JSON_TYPE }),
    ...headers,
    ...(status === 204 ? {} : { 'content-length': body.length }),
  })
  response.end(status === 204 ? undefined : body)
}

function nextFault(faults: Fault[], line: string): Fault | undefined {
  const index = faults.findIndex(({ on }) => on === undefined || on.test(line))
  const fault = faults[index]
  if (!fault) return undefined
  fault.times = (fault.times ?? 1) - 1
  if (fault.times <= 0) faults.splice(index, 1)
  return fault
}
