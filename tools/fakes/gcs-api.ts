import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import {
  failure,
  hashesOf,
  media,
  mismatch,
  noBucket,
  type Reply,
  resource,
  type StoredObject,
} from './gcs-replies.ts'

/** How the service behaves; may be changed while it runs. */
export interface Behaviour {
  /** Objects on a page of a list. Default: 1000. */
  pageSize: number
  /** Fields of the resource of each bucket. Default: uniform, not public, without soft delete or lifecycle. */
  readonly settings: Map<string, Record<string, unknown>>
  /** Whether it ignores preconditions and checksums. */
  isCareless: boolean
  /** Status for bytes that do not match their checksum: 400 in Cloud Storage, 412 in Google's test bench. */
  mismatchStatus: 400 | 412
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

/** Only whole units of these are sure to be kept of an upload that is cut, bytes. */
const UNIT = 262_144

/** Cloud Storage's JSON API over buckets in memory, without the wire. */
export function gcsApi(
  buckets: ReadonlyMap<string, Map<string, StoredObject>>,
  behaviour: Behaviour,
) {
  const sessions = new Map<string, Session>()
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
    if (!isSound && !behaviour.isCareless)
      return failure(behaviour.mismatchStatus, 'Provided hash does not match')
    const present = bucket.get(session.name)
    const { ifGenerationMatch: wanted } = session
    if (!behaviour.isCareless && wanted !== null && wanted !== String(present?.generation ?? 0))
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
    session.held = wholeUnits(session.held)
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
    const limit = Math.min(
      Number(url.searchParams.get('maxResults') ?? 1000),
      behaviour.pageSize,
    )
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
      ...behaviour.settings.get(bucketName),
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

  const route = (url: URL, request: IncomingMessage, body: Buffer): Reply => {
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

  return {
    route,
    /** Stores an object, and overwrites an existing one. */
    put(bucket: string, name: string, bytes: Uint8Array): void {
      const contentType = 'application/octet-stream'
      const to = { bucket, name, contentType, metadata: {}, ifGenerationMatch: null }
      store(to, Buffer.from(bytes))
    },
    /** Keeps what has arrived of an upload from byte `start` on, when its request was cut. */
    keep(url: URL, start: number, part: Buffer): void {
      const session = sessions.get(url.searchParams.get('upload_id') ?? '')
      if (session === undefined || !(start <= session.held.length)) return
      session.held = wholeUnits(Buffer.concat([session.held.subarray(0, start), part]))
    },
  }
}

function wholeUnits(bytes: Buffer): Buffer {
  return bytes.subarray(0, Math.floor(bytes.length / UNIT) * UNIT)
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
