import type { Readable } from 'node:stream'
import { StoreError } from '../../contracts/errors/store.ts'
import type { ObjectName, Revision } from '../../contracts/names.ts'

/** The metadata of an object. */
export interface ObjectStat {
  readonly name: ObjectName
  readonly bytes: number
  /**
   * Identifies the bytes of the object. Cloud Storage: `g` + generation. Files: `f` + a digest of size, mtime (ns) and
   * inode.
   */
  readonly revision: Revision
  readonly modified: Date
}

/** The result of a create. `exists`: an object with the same bytes exists. `differs`: one with other bytes exists. */
export type Created = 'created' | 'exists' | 'differs'

/**
 * Checks the result of creating an object whose name determines its bytes, and returns it.
 * @throws StoreError other-bytes when other bytes exist: no retry mends that, and neither version can be trusted.
 */
export function sameBytes(created: Created, name: string): 'created' | 'exists' {
  if (created !== 'differs') return created
  throw new StoreError('other-bytes', `${name} has other bytes than those just made for it`)
}

export type Body = Uint8Array | AsyncIterable<Uint8Array>

/** What to read of an object. */
export interface ReadOptions {
  /** The first byte, from 0. Default: 0. */
  readonly start?: number
  /** One past the last byte. Default: the end of the object. */
  readonly end?: number
  /** The revision to read. If the object has another one, or is gone, the read fails: StoreError changed. */
  readonly revision?: Revision
  readonly signal?: AbortSignal
}

/** How a store takes uploads: as files that grow in its folder, or in sessions between the client and the store. */
type UploadMeans = { readonly kind: 'folder'; readonly folder: string } | UploadSessions

/** A store whose clients can upload to it directly. */
export interface UploadSessions {
  readonly kind: 'sessions'
  /**
   * A URL that lets its holder upload this one object, resumably. The upload succeeds only if the object does not exist
   * by its end and its bytes match `crc32c` (base64), if given. `origin`: the site whose pages may use the URL.
   * @throws StoreError exists
   */
  url(
    name: ObjectName,
    options: { contentType: string; crc32c?: string; origin?: string; signal?: AbortSignal },
  ): Promise<string>
  /** The CRC-32C of an object, base64; undefined when there is no such object. */
  crc32cOf(name: ObjectName, options?: { signal?: AbortSignal }): Promise<string | undefined>
}

/** What comes with an object that is fetched at a signed address, and for how long. */
export interface LinkOptions {
  /** From now, seconds: 1 to MAX_LINK_SECONDS. */
  readonly expiresInSeconds: number
  readonly contentType: string
  /** The value of Content-Disposition. */
  readonly disposition: string
  readonly signal?: AbortSignal
}

/** An address at which an object can be fetched without credentials. */
export interface SignedUrl {
  readonly url: string
  readonly expires: Date
}

/** How long a signed address may be valid, seconds: the limit of Cloud Storage's signatures (V4). */
export const MAX_LINK_SECONDS = 7 * 24 * 60 * 60

/**
 * The contract of a store of objects. There is no overwrite, on purpose: a store that cannot create an object only if
 * it is absent cannot hold our objects.
 */
export interface StoreDriver {
  /** Whether its bytes cross a WAN, as the kind of the store declares. */
  readonly crossesWan: boolean
  /** How masters are uploaded into it. Wrappers that are used for other objects may leave it out. */
  readonly uploads?: UploadMeans
  /** The metadata of an object; undefined when there is no such object. */
  stat(name: ObjectName, options?: { signal?: AbortSignal }): Promise<ObjectStat | undefined>
  /**
   * The bytes [start, end) of an object. Default: the whole object. A range is cut at the end of the object.
   * @throws StoreError not-found when there is no such object; changed when `revision` no longer holds.
   */
  read(name: ObjectName, options?: ReadOptions): Promise<Readable>
  /**
   * Fills `target` with the bytes from `start` on, without a stream in between. Absent if the bytes come as a stream
   * anyway.
   * @throws as `read`; Error when the object ends before the target is full.
   */
  readInto?(
    name: ObjectName,
    target: Uint8Array,
    options: Omit<ReadOptions, 'end'> & { readonly start: number },
  ): Promise<void>
  /**
   * Creates an object atomically; it is durable when this resolves. An existing object is never replaced but compared,
   * so the body is always read to its end. An aborted or failed create leaves nothing under the name.
   */
  create(
    name: ObjectName,
    body: Body,
    options: { contentType: string; signal?: AbortSignal },
  ): Promise<Created>
  /** Removes an object. Succeeds if there is none. */
  remove(name: ObjectName): Promise<void>
  /** The objects whose names begin with `prefix`, in the order of the UTF-8 bytes of their names. */
  list(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<ObjectStat>
  /** Removes all objects whose name begins with `prefix`, which must end with a slash. */
  removeAll(prefix: string): Promise<void>
  /**
   * Removes the remains of creates that crashed, if they are older than `olderThanMs`. Absent if a crash leaves
   * nothing. @returns how many were removed.
   */
  sweepTemporary?(olderThanMs: number, options?: { signal?: AbortSignal }): Promise<number>
  /**
   * Checks that objects can be created now. Absent if `stat` shows as much: for a store that cannot fill up.
   * @throws as `create`.
   */
  probe?(options?: { signal?: AbortSignal }): Promise<void>
  /**
   * Signs a URL at which the object can be fetched without credentials until it expires. Whether there is such an object
   * is not looked at. Absent if clients cannot reach the store.
   * @throws StoreError denied when this identity may not sign; unavailable when the signer does not answer.
   */
  link?(name: ObjectName, options: LinkOptions): Promise<SignedUrl>
  /** The URI of an object: `file:///…` or `gs://…`. */
  uri(name: ObjectName): string
}
