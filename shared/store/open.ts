import { PermanentError } from '../errors.ts'
import type { ObjectName } from '../names.ts'
import type { StoreDriver } from './driver.ts'
import { fileStore } from './file.ts'
import { type GcsSettings, gcsConnection, gcsStore } from './gcs.ts'
import { isBelow, parseUri, type StoreUri } from './uri.ts'

export { parseUri, withinPrefixes } from './uri.ts'

/** Stores that are opened with the same settings object share one connection to Cloud Storage. */
export type StoreOptions = GcsSettings

/**
 * The store at `file:///folder` or `gs://bucket/prefix`. Nothing is looked at yet.
 * @throws PermanentError BAD_REQUEST when the URI is neither.
 */
export function openStore(uri: string, options: StoreOptions = {}): StoreDriver {
  return storeAt(parseUri(uri), options)
}

/**
 * The store that holds one object, and its name there. With `prefixes` the store reaches from the
 * prefix that holds the object, so that symbolic links may lead anywhere below it; without, it is
 * the object's own folder.
 * @throws PermanentError BAD_REQUEST when the URI names no object; MASTER_OUT_OF_BOUNDS when it
 * lies below none of the prefixes.
 */
export function locate(
  uri: string,
  options: StoreOptions & { readonly prefixes?: readonly string[] } = {},
): { driver: StoreDriver; name: ObjectName } {
  const place = parseUri(uri)
  if (place.path.length === 0 || uri.endsWith('/'))
    throw new PermanentError('BAD_REQUEST', `${JSON.stringify(uri)} names no object in a store`)
  const top = topFor(place, options.prefixes)
  if (!top)
    throw new PermanentError(
      'MASTER_OUT_OF_BOUNDS',
      `${JSON.stringify(uri)} lies outside ${options.prefixes?.join(', ')}`,
    )
  const name = place.path.slice(top.path.length).join('/') as ObjectName
  return { driver: storeAt(top, options), name }
}

function topFor(
  place: StoreUri,
  prefixes: readonly string[] | undefined,
): StoreUri | undefined {
  if (prefixes) return prefixes.map(parseUri).find((prefix) => isBelow(place, prefix))
  return { ...place, path: place.scheme === 'gs' ? [] : place.path.slice(0, -1) }
}

function storeAt(place: StoreUri, options: StoreOptions): StoreDriver {
  if (place.scheme === 'file') return fileStore(`/${place.path.join('/')}`)
  const prefix = place.path.map((segment) => `${segment}/`).join('')
  return gcsStore({
    ...options,
    bucket: place.bucket,
    prefix,
    connection: connectionFor(options),
  })
}

/** Remembered, because `locate` is called for every master. */
const connections = new WeakMap<StoreOptions, ReturnType<typeof gcsConnection>>()

function connectionFor(options: StoreOptions): ReturnType<typeof gcsConnection> {
  let connection = connections.get(options)
  if (!connection) {
    connection = gcsConnection(options)
    connections.set(options, connection)
  }
  return connection
}
