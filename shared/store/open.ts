import { StoreError } from '../contracts/errors/store.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { StoreDriver } from './driver/driver.ts'
import type { StoreKind, StoreUri } from './driver/kind.ts'
import { KINDS, type StoreOptions } from './kinds.ts'
import { isBelow, parseUri } from './uri.ts'

export type { StoreOptions } from './kinds.ts'
export { parseUri, withinPrefixes } from './uri.ts'

/**
 * The store at `file:///folder` or `gs://bucket/prefix`. Nothing is read from it yet.
 * @throws StoreError bad-name when the URI is of no kind that is known here.
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
    return KINDS[place.scheme].rootOf(place)
  }
  const known = rememberedFor(options)
  known.prefixes ??= prefixes.map(parseUri)
  return known.prefixes.find((prefix) => isBelow(place, prefix))
}

function storeAt(place: StoreUri, options: StoreOptions): StoreDriver {
  const { openers } = rememberedFor(options)
  let open = openers.get(place.scheme)
  if (open === undefined) {
    open = KINDS[place.scheme].opener(options)
    openers.set(place.scheme, open)
  }
  return open(place)
}

interface Remembered {
  prefixes?: readonly StoreUri[]
  readonly openers: Map<string, ReturnType<StoreKind<StoreOptions>['opener']>>
}

/** Cached by settings object, because `locate` is called for every master. */
const remembered = new WeakMap<StoreOptions, Remembered>()

function rememberedFor(options: StoreOptions): Remembered {
  let known = remembered.get(options)
  if (!known) {
    known = { openers: new Map() }
    remembered.set(options, known)
  }
  return known
}
