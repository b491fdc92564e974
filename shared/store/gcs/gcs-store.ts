import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as library from '@google-cloud/storage'
import { orAbort, orLate } from '../../async/abort.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import { StoreError } from '../../contracts/errors/store.ts'
import type { ObjectName, Revision } from '../../contracts/names.ts'
import type {
  LinkOptions,
  ObjectStat,
  SignedUrl,
  StoreDriver,
  UploadSessions,
} from '../driver/driver.ts'
import {
  checkedFolder,
  checkedName,
  checkedPrefix,
  isLegalName,
} from '../driver/object-name.ts'
import { checkBucket } from './pull.ts'
import { readObject } from './read.ts'
import { openSession, type StoredSum, type Upload, upload } from './upload.ts'
import { GcsError, gcsWire, type Patience, type Wire } from './wire.ts'

/** How to reach Cloud Storage. All stores that are opened with the same settings object share a connection. */
export interface GcsSettings extends Patience {
  /** The endpoint of the API. Default: Google's. An endpoint with http: is an emulator and gets no credentials. */
  readonly apiEndpoint?: string
  /**
   * Bodies up to this size are sent in one request, longer ones in pieces of this size, which are held in memory.
   * Bytes, a multiple of 256 KiB. Default: 8 MiB.
   */
  readonly pieceBytes?: number
  /** Where signBlob is called, for tests. Default: Google's IAM Service Account Credentials API. */
  readonly signingEndpoint?: string
}

/** A connection to Cloud Storage, which several stores can share. */
interface GcsConnection extends Wire {
  /** Signs an address of an object. Absent at an emulator, for which there are no credentials. */
  sign?(bucket: string, name: string, options: LinkOptions): Promise<SignedUrl>
}

/** A URL of an upload session is valid for a week. */
interface GcsStore extends StoreDriver {
  readonly uploads: UploadSessions
}

const require = createRequire(import.meta.url)
const PIECE_BYTES = 8 * 1024 * 1024
/** The number of objects that are removed at once. */
const WIDTH = 16
/** How long signBlob is waited for, ms. */
const SIGN_MS = 10_000
const FIELDS = 'name,size,generation,timeCreated'

/**
 * A store in a bucket, below `prefix` (empty, or ending with a slash).
 *
 * It uses the client library for the credentials, the endpoint and signatures only, and makes its own requests: the library's
 * requests cannot be aborted, an unconditional write turns its retries off for good, and an error on one download
 * closes the connections of all others.
 */
export function gcsStore({
  bucket,
  prefix = '',
  connection,
  ...settings
}: GcsSettings & {
  readonly bucket: string
  readonly prefix?: string
  /** A connection to share with other stores. Default: a new one. */
  readonly connection?: GcsConnection
}): GcsStore {
  const wire = connection ?? gcsConnection(settings)
  const inBucket = (name: string) => prefix + checkedName(name)
  const objects = `/storage/v1/b/${encodeURIComponent(bucket)}/o`
  const urlOf = (full: string) => `${objects}/${encodeURIComponent(full)}`
  const uriOf = (full: string) => `gs://${bucket}/${full}`

  /** The metadata of an object. No checksum protects such an answer, so it counts when it has come twice in a row. */
  const inspect = async (full: string, fields: string, signal: AbortSignal | undefined) => {
    const call = { method: 'GET', url: urlOf(full), query: { fields } } as const
    for (let attempt = 0, before = ''; ; attempt++) {
      const answer = await wire.send({ ...call, answers: [404], signal })
      if (answer.status === 404) {
        checkBucket(answer)
        return undefined
      }
      const text = JSON.stringify(answer.body)
      if (text === before) return answer.body as ObjectResource
      if (attempt > 0)
        await wire.again(new Error(`${uriOf(full)} looks another each time`), attempt, signal)
      before = text
    }
  }

  async function* pages(within: string, signal: AbortSignal | undefined) {
    let pageToken: string | undefined
    do {
      const query = { prefix: within, pageToken, fields: `items(${FIELDS}),nextPageToken` }
      const answer = await wire.send({ method: 'GET', url: objects, query, signal })
      const page = answer.body as { items?: ObjectResource[]; nextPageToken?: string }
      yield (page.items ?? []).filter(({ name }) => name.startsWith(within))
      pageToken = page.nextPageToken
    } while (pageToken)
  }

  const removeOne = async (full: string) => {
    const url = urlOf(full)
    const answer = await wire.send({ method: 'DELETE', url, answers: [404] })
    if (answer.status === 404) checkBucket(answer)
  }

  return {
    crossesWan: true,
    async stat(name, options) {
      const found = await inspect(inBucket(name), FIELDS, options?.signal)
      return found && objectStat(name, found)
    },
    async read(name, options) {
      const full = inBucket(name)
      const generation = options?.revision && generationOf(options.revision)
      return readObject(wire, { url: urlOf(full), uri: uriOf(full) }, generation, options)
    },
    async create(name, body, { contentType, signal }) {
      const creation = randomUUID()
      const full = inBucket(name)
      const to: Upload = { bucket, name: full, contentType, metadata: { creation }, signal }
      return upload(wire, to, body, {
        pieceBytes: settings.pieceBytes ?? PIECE_BYTES,
        inspect: () => inspect(full, 'size,crc32c,metadata', signal),
      })
    },
    async remove(name) {
      await removeOne(inBucket(name))
    },
    async *list(within, options) {
      for await (const page of pages(prefix + checkedPrefix(within), options?.signal))
        for (const found of page) {
          const name = found.name.slice(prefix.length)
          // Other tools create placeholders for folders and the like, which are not our objects.
          if (isLegalName(name)) yield objectStat(name, found)
        }
    },
    async removeAll(within) {
      for await (const page of pages(prefix + checkedFolder(within), undefined))
        for (let at = 0; at < page.length; at += WIDTH)
          await Promise.all(page.slice(at, at + WIDTH).map(({ name }) => removeOne(name)))
    },
    ...(wire.sign && {
      async link(name, options) {
        return (await wire.sign?.(bucket, inBucket(name), options)) as SignedUrl
      },
    }),
    uri: (name) => uriOf(inBucket(name)),
    uploads: {
      kind: 'sessions',
      async crc32cOf(name, options) {
        return (await inspect(inBucket(name), 'crc32c', options?.signal))?.crc32c
      },
      async url(name, { contentType, crc32c, origin, signal }) {
        const to: Upload = { bucket, name: inBucket(name), contentType, crc32c, signal }
        const { status, headers } = await openSession(wire, to, origin)
        if (status === 412) throw new GcsError(412, `${uriOf(to.name)} exists`)
        return headers.get('location') as string
      },
    },
  }
}

/** A connection that several stores can share, because each connection fetches access tokens of its own. */
export function gcsConnection(settings: GcsSettings): GcsConnection {
  const { apiEndpoint, signingEndpoint } = settings
  // Loaded only when a bucket is opened: a service whose stores are folders starts 0.1 core-seconds sooner.
  const { Storage } = require('@google-cloud/storage') as typeof library
  const storage = new Storage(apiEndpoint === undefined ? {} : { apiEndpoint })
  const isEmulator = storage.apiEndpoint.startsWith('http:')
  const credentials = async (url: string) =>
    isEmulator ? {} : await storage.authClient.getRequestHeaders(url)
  const wire = gcsWire(storage.apiEndpoint, credentials, settings)
  if (isEmulator) return wire
  return {
    ...wire,
    async sign(bucket, name, { expiresInSeconds, contentType, disposition, signal }) {
      // Whole seconds, as the signature has them: the library would round either of the two down.
      const now = Math.floor(Date.now() / 1000) * 1000
      const expires = new Date(now + expiresInSeconds * 1000)
      const signing = storage
        .bucket(bucket)
        .file(name)
        .getSignedUrl({
          version: 'v4',
          action: 'read',
          accessibleAt: now,
          expires,
          responseType: contentType,
          responseDisposition: disposition,
          ...(signingEndpoint === undefined ? {} : { signingEndpoint }),
        })
      const late = () => new Error(`the signer was silent for ${SIGN_MS} ms`)
      try {
        const [url] = await orLate(orAbort(signing, signal), SIGN_MS, late)
        return { url, expires }
      } catch (error) {
        signal?.throwIfAborted()
        throw notSigned(error)
      }
    },
  }
}

/** What is wrong with an identity, by the library's and Google's words: neither passes a status on. */
const MAY_NOT = /client_email|permission|denied|forbidden|not been used|disabled/i

function notSigned(error: unknown): StoreError {
  const why = sentence(error)
  return new StoreError(
    MAY_NOT.test(why) ? 'denied' : 'unavailable',
    `No address of an object can be signed: ${why}. The service account needs roles/iam.serviceAccountTokenCreator on itself.`,
    { cause: error },
  )
}

/** The requested fields of https://cloud.google.com/storage/docs/json_api/v1/objects#resource. */
interface ObjectResource extends StoredSum {
  readonly name: string
  readonly generation: string
  readonly timeCreated: string
}

function objectStat(name: ObjectName, found: ObjectResource): ObjectStat {
  return {
    name,
    bytes: Number(found.size),
    revision: `g${found.generation}` as Revision,
    modified: new Date(found.timeCreated),
  }
}

/** The generation of a revision. A revision of another kind of store maps to generation 1, which never exists. */
function generationOf(revision: Revision): string {
  return /^g(\d+)$/.exec(revision)?.[1] ?? '1'
}
