import type { StoreKind } from './driver/kind.ts'
import { files } from './file/kind.ts'
import { buckets } from './gcs/kind.ts'

/** The kinds of stores, by the scheme of their URIs. A new one is a folder beside these, and a line here. */
export const KINDS: Readonly<Record<string, StoreKind>> = { file: files, gs: buckets }

/** The kind of store that a URI names; undefined when there is none of its scheme. */
export function kindOf(uri: string): StoreKind | undefined {
  const scheme = /^([a-z]+):/i.exec(uri)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(KINDS, scheme) ? KINDS[scheme] : undefined
}
