import { StoreError } from '../contracts/errors/store.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { StoreDriver } from './driver/driver.ts'
import { fileStore } from './file/file-store.ts'
import { type GcsSettings, gcsConnection, gcsStore } from './gcs/gcs-store.ts'
import { isBelow, parseUri, type StoreUri } from './uri.ts'

export { parseUri, withinPrefixes } from './uri.ts'

/** Stores that are opened with the same settings object share one connection to Cloud Storage. */
export type StoreOptions = GcsSettings

/**
 * The store at `file:///folder` or `gs://bucket/prefix`. Nothing is read from it yet.
 * @throws StoreError bad-name when the URI is neither.
 */
export function openStore(uri: string, options: StoreOptions = {}): StoreDriver {
  return storeAt(parseUri(uri), options)
}

/**
 * The store that holds one object, and the name of the object in it. With `prefixes` the root of the store is the
 * prefix that the object lies below, so symbolic links may lead anywhere below that prefix. Without, the root is the
 * object's own folder, or its bucket.
 * @throws StoreError bad-name when the URI names no object; out-of-bounds when it lies below none of the prefixes.
 */
export function locate(
  uri: string,
  options: StoreOptions & { readonly prefixes?: readonly string[] } = {},
): { driver: StoreDriver; name: ObjectName } {
  const place = parseUri(uri)
  if (place.path.length === 0 || uri.endsWith('/'))
    throw new StoreError('bad-name', `${JSON.stringify(uri)} names no object in a store`)
  const top = topFor(place, options)
  if (!top)
    throw new StoreError(
      'out-of-bounds',
      `${JSON.stringify(uri)} lies outside the prefixes that masters may lie below`,
    )
  const name = place.path.slice(top.path.length).join('/') as ObjectName
  return { driver: storeAt(top, options), name }
}

function topFor(
  place: StoreUri,
  options: StoreOptions & { readonly prefixes?: readonly string[] },
): StoreUri | undefined {
  const { prefixes } = options
  if (prefixes === undefined) {
    return { ...place, path: place.scheme === 'gs' ? [] : place.path.slice(0, -1) }
  }
  const known = rememberedFor(options)
  known.prefixes ??= prefixes.map(parseUri)
  return known.prefixes.find((prefix) => isBelow(place, prefix))
}

function storeAt(place: StoreUri, options: StoreOptions): StoreDriver {
  if (place.scheme === 'file') {
    const path = `/${place.path.join('/')}`
    const { folders } = rememberedFor(options)
    const store = folders.get(path) ?? fileStore(path)
    // Without prefixes each folder of a catalogue is a root. Remembering them all would be a memory leak.
    if (folders.size < MAX_FOLDERS) folders.set(path, store)
    return store
  }
  const prefix = place.path.map((segment) => `${segment}/`).join('')
  const known = rememberedFor(options)
  known.connection ??= gcsConnection(options)
  return gcsStore({ ...options, bucket: place.bucket, prefix, connection: known.connection })
}

interface Remembered {
  connection?: ReturnType<typeof gcsConnection>
  prefixes?: readonly StoreUri[]
  readonly folders: Map<string, StoreDriver>
}

const MAX_FOLDERS = 100

/** Cached by settings object, because `locate` is called for every master. */
const remembered = new WeakMap<StoreOptions, Remembered>()

function rememberedFor(options: StoreOptions): Remembered {
  let known = remembered.get(options)
  if (!known) {
    known = { folders: new Map() }
    remembered.set(options, known)
  }
  return known
}
