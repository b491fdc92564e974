import type { Scheme } from '../contracts/store-uri.ts'
import type { StoreKind } from './driver/kind.ts'
import { files } from './file/kind.ts'
import type { GcsSettings } from './gcs/gcs-store.ts'
import { buckets } from './gcs/kind.ts'

/** Stores that are opened with the same settings object share what their kind shares, such as a connection. */
export type StoreOptions = GcsSettings
type AnyKind = StoreKind<StoreOptions>

/** The kinds of stores, by the scheme of their URIs. A new one is a folder beside these, and a line here. */
export const KINDS: Readonly<Record<Scheme, AnyKind>> = { file: files, gs: buckets }

/** The scheme of a URI, if stores of it are known here. */
export function schemeOf(uri: string): Scheme | undefined {
  const scheme = /^([a-z]+):/i.exec(uri)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(KINDS, scheme) ? (scheme as Scheme) : undefined
}

/** The kind of store that a URI names; undefined when there is none of its scheme. */
export function kindOf(uri: string): AnyKind | undefined {
  const scheme = schemeOf(uri)
  return scheme && KINDS[scheme]
}
