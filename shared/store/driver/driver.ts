import type { Readable } from 'node:stream'
import { PermanentError } from '../../contracts/errors/chain.ts'
import type { ObjectName, Revision } from '../../contracts/names.ts'

export interface ObjectStat {
  readonly name: ObjectName
  readonly bytes: number
  /**
   * Which bytes these are. GCS: `g` + generation. Files: `f` + a digest of size, mtime (ns) and inode.
   */
  readonly revision: Revision
  readonly modified: Date
}

/** `exists`: these very bytes are there already. `differs`: others are. */
export type Created = 'created' | 'exists' | 'differs'

/**
 * The same, of an object whose bytes follow from its name alone.
 * @throws PermanentError OTHER_BYTES where there are others: no retry mends that, and nobody may believe either.
 */
export function sameBytes(created: Created, name: string): 'created' | 'exists' {
  if (created !== 'differs') return created
  throw new PermanentError('OTHER_BYTES', `${name} has other bytes than those just made for it`)
}

export type Body = Uint8Array | AsyncIterable<Uint8Array>

export interface ReadOptions {
  /** First byte, from 0. */
  readonly start?: number
  /** One past the last byte. */
  readonly end?: number
  /** Only these very bytes: anything else, also that they are gone, is a RestartError MASTER_CHANGED. */
  readonly revision?: Revision
  readonly signal?: AbortSignal
}

/**
 * What a place that keeps objects must do. There is no overwrite, on purpose: a driver that
 * cannot create an object only if it is absent cannot hold our objects.
 */
export interface StoreDriver {
  /** Undefined when there is no such object. */
  stat(name: ObjectName, options?: { signal?: AbortSignal }): Promise<ObjectStat | undefined>
  /**
   * The bytes [start, end) of an object, whole unless told; a range past the end is cut there.
   * @throws NotFoundError when there is no such object; RestartError when `revision` no longer holds.
   */
  read(name: ObjectName, options?: ReadOptions): Promise<Readable>
  /**
   * Fills `target` with the bytes from `start` on: the same as `read`, without a stream in between. Absent where the
   * bytes come as a stream anyway.
   * @throws as `read`; Error when the object ends before the target is full.
   */
  readInto?(
    name: ObjectName,
    target: Uint8Array,
    options: Omit<ReadOptions, 'end'> & { readonly start: number },
  ): Promise<void>
  /**
   * Creates the object whole or not at all, durable when this resolves. What is there already is never replaced, but
   * compared: so a body is read to its end in any case. An aborted or failed create leaves nothing under the name.
   */
  create(
    name: ObjectName,
    body: Body,
    options: { contentType: string; signal?: AbortSignal },
  ): Promise<Created>
  /** Removing what is not there succeeds. */
  remove(name: ObjectName): Promise<void>
  /** Objects whose name begins with `prefix`, sorted by name. */
  list(prefix: string, options?: { signal?: AbortSignal }): AsyncIterable<ObjectStat>
  /** Removes all objects whose name begins with `prefix`, which must end with a slash. */
  removeAll(prefix: string): Promise<void>
  /**
   * Removes what crashes have left of objects that never came to be, older than `olderThanMs`. Absent where a
   * crash leaves nothing. Answers how many.
   */
  sweepTemporary?(olderThanMs: number, options?: { signal?: AbortSignal }): Promise<number>
  /**
   * Whether objects could be created now. Absent where a look at one tells as much: where nothing fills up.
   * @throws as `create`.
   */
  probe?(options?: { signal?: AbortSignal }): Promise<void>
  /** The URI of an object: `file:///…` or `gs://…`. */
  uri(name: ObjectName): string
}

/** The object is not there. Not permanent in itself: the caller knows what that means. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError'
}
