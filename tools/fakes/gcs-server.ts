import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

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

interface StoredObject {
  readonly bytes: Buffer
  readonly generation: number
  readonly contentType: string
  readonly metadata: Record<string, string>
  readonly created: string
}

export interface GcsServer {
  readonly endpoint: string
  /** All objects by bucket and name. */
  readonly buckets: Map<string, Map<string, StoredObject>>
  /** `METHOD /path?query` and range of every request so far. */
  readonly requests: { line: string; range: string | undefined; origin?: string | undefined }[]
  /** Pending faults; a request gets the first that matches. */
  readonly faults: Fault[]
  /** Objects on a page of a list. Default: 1000. */
  pageSize: number
  /** Fields of the resource of each bucket. Default: uniform, not public, without soft delete or lifecycle. */
  readonly settings: Map<string, Record<string, unknown>>
  /** How far its clock is ahead, ms. */
  clockAheadMs: number
  /** Whether it ignores preconditions and checksums. */
  isCareless: boolean
  /** Called with every body on its way up and down; returns the body to use instead. */
  onTheWay: ((body: Buffer, way: 'up' | 'down') => Buffer) | undefined
  /** Requests that the identity lacks permission for, by `METHOD /path?query`: they get 403. */
  denied: RegExp | undefined
  /** Status for bytes that do not match their checksum: 400 in Cloud Storage, 412 in Google's test bench. */
  mismatchStatus: 400 | 412
  /** Stores an object, and overwrites an existing one. */
  put(bucket: string, name: string, bytes: Uint8Array): void
  /** Cuts every open connection. */
  cut(): void
  close(): Promise<void>
}

interface Session {
  readonly bucket: string
  readonly name: string
  readonly contentType: string
  readonly metadata: Record<string, string>
  readonly ifGenerationMatch: string | null
  held: Buffer
  /** The checksums that were announced when the session was opened. */
  readonly sums?: readonly (string | undefined)[]
  /** The final response, repeated for repeated requests. */
  ended?: Reply
}

/**
 * An in-memory stand-in for Cloud Storage: enough of its JSON API for our driver and for Google's own clients. It
 * misbehaves on command.
 */
export async function startGcsServer(...bucketNames: readonly string[]): Promise<GcsServer> {
  const buckets = new Map(
    bucketNames.map((name) => [name, new Map<string, StoredObject>()] as const),
  )
  const sessions = new Map<string, Session>()
  const sockets = new Set<Socket>()
  // Cloud Storage counts in microseconds since 1970; only its growth matters.
  let generation = Date.now() * 1000

  const store = (
    session: Omit<Session, 'held' | 'ended'>,
    bytes: Buffer,
    sums: readonly (string | undefined)[] = [],
  ): Reply => {
    const bucket = buckets.get(session.bucket)
    if (!bucket) return noBucket
    const { crc32c, md5Hash } = hashesOf(bytes)
    const isSound = sums.every(
      (sum) => sum === undefined || sum === '' || sum === crc32c || sum === md5Hash,
    )
    if (!isSound && !server.isCareless)
      return failure(server.mismatchStatus, 'Provided hash does not match')
    const present = bucket.get(session.name)
    const { ifGenerationMatch: wanted } = session
    if (!server.isCareless && wanted !== null && wanted !== String(present?.generation ?? 0))
      return mismatch
    const object: StoredObject = {
      bytes,
      generation: ++generation,
      contentType: session.contentType,
      metadata: session.metadata,
      created: new Date().toISOString(),
    }
    bucket.set(session.name, object)
    return { status: 200, json: resource(session.bucket, session.name, object) }
  }

  const insert = (url: URL, bucket: string, request: IncomingMessage, body: Buffer): Reply => {
    if (!buckets.has(bucket)) return noBucket
    const type = request.headers['content-type'] ?? 'application/octet-stream'
    const kind = url.searchParams.get('uploadType')
    const ifGenerationMatch = url.searchParams.get('ifGenerationMatch')
    if (kind === 'media') {
      const name = url.searchParams.get('name') ?? ''
      return store({ bucket, name, contentType: type, metadata: {}, ifGenerationMatch }, body)
    }
    const [head, media] = kind === 'multipart' ? multipart(type, body) : [body, undefined]
    let given: Partial<Record<string, never>>
    try {
      given = head.length > 0 ? JSON.parse(head.toString()) : {}
    } catch {
      return failure(400, 'Parse Error')
    }
    const session: Session = {
      bucket,
      name: url.searchParams.get('name') ?? given.name ?? '',
      contentType:
        given.contentType ?? String(request.headers['x-upload-content-type'] ?? type),
      metadata: given.metadata ?? {},
      ifGenerationMatch,
      held: Buffer.alloc(0),
      sums: [given.md5Hash, given.crc32c],
    }
    if (media) {
      return store(session, media, [given.md5Hash, given.crc32c])
    }
    const id = randomUUID()
    sessions.set(id, session)
    url.searchParams.set('upload_id', id)
    return { status: 200, headers: { location: url.href } }
  }

  const proceed = (url: URL, request: IncomingMessage, body: Buffer): Reply => {
    const id = url.searchParams.get('upload_id') ?? ''
    const session = sessions.get(id)
    if (!session) return failure(404, 'No such upload session')
    if (session.ended) return session.ended
    if (request.method === 'DELETE') {
      sessions.delete(id)
      return { status: 499 }
    }
    const range = /^bytes (?:(\d+)-(\d+|\*)|\*)\/(\d+|\*)$/.exec(
      request.headers['content-range'] ?? `bytes 0-*/${body.length}`,
    )
    if (!range) return failure(400, 'Bad Content-Range')
    const [, start, last, total] = range
    if (start !== undefined) {
      if (Number(start) > session.held.length) return failure(503, 'Bytes are missing')
      session.held = Buffer.concat([session.held.subarray(0, Number(start)), body])
    }
    // `bytes 0-*/*` is one request of unknown length, with all that is left.
    const isWhole = total === '*' ? last === '*' : session.held.length === Number(total)
    if (isWhole) {
      const announced = String(request.headers['x-goog-hash'] ?? '')
      const sums = announced.split(',').map((sum) => sum.trim().replace(/^(crc32c|md5)=/, ''))
      session.ended = store(session, session.held, [...sums, ...(session.sums ?? [])])
      return session.ended
    }
    // Only whole units of 256 KiB are guaranteed to be kept.
    session.held = session.held.subarray(0, Math.floor(session.held.length / 262144) * 262144)
    const headers = session.held.length ? { range: `bytes=0-${session.held.length - 1}` } : {}
    return { status: 308, headers }
  }

  const one = (url: URL, bucketName: string, name: string, request: IncomingMessage): Reply => {
    const bucket = buckets.get(bucketName)
    if (!bucket) return noBucket
    const object = bucket.get(name)
    const wanted = url.searchParams.get('generation')
    if (!object || (wanted !== null && wanted !== String(object.generation)))
      return failure(404, `No such object: ${bucketName}/${name}`)
    const match = url.searchParams.get('ifGenerationMatch')
    if (match !== null && match !== String(object.generation)) return mismatch
    if (request.method === 'DELETE') {
      bucket.delete(name)
      return { status: 204 }
    }
    if (url.searchParams.get('alt') !== 'media')
      return { status: 200, json: resource(bucketName, name, object) }
    return media(object, request.headers.range)
  }

  const list = (url: URL, bucketName: string): Reply => {
    const bucket = buckets.get(bucketName)
    if (!bucket) return noBucket
    const prefix = url.searchParams.get('prefix') ?? ''
    const after = url.searchParams.get('pageToken')
    const limit = Math.min(Number(url.searchParams.get('maxResults') ?? 1000), server.pageSize)
    const last = after === null ? undefined : Buffer.from(after, 'base64url')
    const found = [...bucket.keys()]
      .filter((name) => name.startsWith(prefix))
      .filter((name) => last === undefined || Buffer.compare(Buffer.from(name), last) > 0)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    const names = found.slice(0, limit)
    const items = names.map((name) =>
      resource(bucketName, name, bucket.get(name) as StoredObject),
    )
    const more = found.length > limit ? names.at(-1) : undefined
    const nextPageToken = more && Buffer.from(more).toString('base64url')
    return { status: 200, json: { kind: 'storage#objects', items, nextPageToken } }
  }

  const bucketReply = (url: URL, bucketName: string, part: string | undefined): Reply => {
    if (!buckets.has(bucketName)) return noBucket
    const { location, locationType, ...rest } = {
      ...SETTINGS,
      ...server.settings.get(bucketName),
    }
    if (part === 'storageLayout') {
      const kind = 'storage#storageLayout'
      return { status: 200, json: { kind, bucket: bucketName, location, locationType } }
    }
    const all = { kind: 'storage#bucket', name: bucketName, location, locationType, ...rest }
    const fields = url.searchParams.get('fields')?.split(',')
    const wanted = Object.entries(all).filter(([key]) => fields?.includes(key) ?? true)
    return { status: 200, json: Object.fromEntries(wanted) }
  }

  const route = (request: IncomingMessage, body: Buffer): Reply => {
    const url = new URL(request.url ?? '/', server.endpoint)
    const [, of, part] =
      /^\/storage\/v1\/b\/([^/]+)(?:\/(storageLayout))?$/.exec(url.pathname) ?? []
    if (of !== undefined) return bucketReply(url, decodeURIComponent(of), part)
    const [, root, bucket, name] =
      /^(\/upload|\/download)?\/storage\/v1\/b\/([^/]+)\/o(?:\/(.+))?$/.exec(url.pathname) ?? []
    const [bucketName, objectName] = [bucket, name].map((part) =>
      part === undefined ? undefined : decodeURIComponent(part),
    )
    if (bucketName === undefined) return failure(404, 'Not Found')
    if (root === '/upload')
      return request.method === 'POST'
        ? insert(url, bucketName, request, body)
        : proceed(url, request, body)
    return objectName === undefined
      ? list(url, bucketName)
      : one(url, bucketName, objectName, request)
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    // Node removes the socket from the request once the body has ended or was aborted.
    const { socket } = request
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
      const part = body.subarray(0, fault.cutUploadAfter)
      const start = Number(/^bytes (\d+)-/.exec(range ?? '')?.[1])
      const session = sessions.get(
        new URL(request.url ?? '', server.endpoint).searchParams.get('upload_id') ?? '',
      )
      if (session && start <= session.held.length) {
        const held = Buffer.concat([session.held.subarray(0, start), part])
        session.held = held.subarray(0, Math.floor(held.length / 262144) * 262144)
      }
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
    const reply = spoilt(route(request, body), fault, server.onTheWay)
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
    put(bucket, name, bytes) {
      const contentType = 'application/octet-stream'
      const to = { bucket, name, contentType, metadata: {}, ifGenerationMatch: null }
      store(to, Buffer.from(bytes))
    },
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      const closed = new Promise((done) => http.close(done))
      server.cut()
      await closed
    },
  }
  return server
}

/**
 * Of https://cloud.google.com/storage/docs/json_api/v1/buckets#resource. Features that are off are left out, as there.
 */
const SETTINGS: Readonly<Record<string, unknown>> = {
  location: 'EUROPE-WEST1',
  locationType: 'region',
  storageClass: 'STANDARD',
  iamConfiguration: {
    uniformBucketLevelAccess: { enabled: true, lockedTime: '2030-01-01T00:00:00.000Z' },
    publicAccessPrevention: 'enforced',
  },
  softDeletePolicy: { retentionDurationSeconds: '0' },
}

interface Reply {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly json?: unknown
  readonly media?: Buffer
}

const noBucket = failure(404, 'The specified bucket does not exist.')
const mismatch = failure(412, 'At least one of the pre-conditions you specified did not hold.')

function failure(code: number, message: string): Reply {
  return { status: code, json: { error: { code, message, errors: [{ message }] } } }
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

function media(object: StoredObject, range: string | undefined): Reply {
  const { bytes } = object
  const headers = {
    'content-type': object.contentType,
    'x-goog-generation': String(object.generation),
    'x-goog-hash': `crc32c=${hashesOf(bytes).crc32c},md5=${hashesOf(bytes).md5Hash}`,
    'x-goog-stored-content-encoding': 'identity',
  }
  const asked = /^bytes=(\d+)-(\d*)$/.exec(range ?? '')
  if (!asked) return { status: 200, headers, media: bytes }
  const start = Number(asked[1])
  const end = Math.min(asked[2] ? Number(asked[2]) + 1 : bytes.length, bytes.length)
  if (start >= bytes.length) {
    const refused = failure(416, 'The requested range cannot be satisfied.')
    return { ...refused, headers: { 'content-range': `bytes */${bytes.length}` } }
  }
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` },
    media: bytes.subarray(start, end),
  }
}

function resource(bucket: string, name: string, object: StoredObject) {
  return {
    kind: 'storage#object',
    bucket,
    name,
    size: String(object.bytes.length),
    generation: String(object.generation),
    metageneration: '1',
    contentType: object.contentType,
    metadata: object.metadata,
    ...hashesOf(object.bytes),
    timeCreated: object.created,
    updated: object.created,
  }
}

const known = new WeakMap<Uint8Array, { md5Hash: string; crc32c: string }>()

/** The hashes of an object, cached: its bytes never change, and it is requested many times. */
function hashesOf(bytes: Uint8Array): { md5Hash: string; crc32c: string } {
  const hashes = known.get(bytes) ?? { md5Hash: md5(bytes), crc32c: crc32c(bytes) }
  known.set(bytes, hashes)
  return hashes
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64')
}

/** CRC-32 by Castagnoli's polynomial, reflected, as in RFC 3720. */
function crc32c(bytes: Uint8Array): string {
  let crc = -1
  for (let i = 0; i < bytes.length; i++) {
    crc = (CRC32C[(crc ^ (bytes[i] as number)) & 255] as number) ^ (crc >>> 8)
  }
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(~crc >>> 0)
  return buffer.toString('base64')
}

const CRC32C = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc
})

/** The two parts of a multipart/related body. */
function multipart(type: string, body: Buffer): [Buffer, Buffer] {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1] ?? ''
  const first = body.indexOf('\r\n\r\n') + 4
  const middle = body.indexOf(`\r\n--${boundary}\r\n`, first)
  const second = body.indexOf('\r\n\r\n', middle + boundary.length) + 4
  return [
    body.subarray(first, middle),
    body.subarray(second, body.lastIndexOf(`\r\n--${boundary}--`)),
  ]
}

function nextFault(faults: Fault[], line: string): Fault | undefined {
  const index = faults.findIndex(({ on }) => on === undefined || on.test(line))
  const fault = faults[index]
  if (!fault) return undefined
  fault.times = (fault.times ?? 1) - 1
  if (fault.times <= 0) faults.splice(index, 1)
  return fault
}
