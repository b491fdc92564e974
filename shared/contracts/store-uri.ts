/**
 * How the URIs of each kind of store begin, by scheme, as patterns. `shared/store/kinds.ts` has the kind, which checks
 * the rest.
 */
const STARTS = { file: 'file:///', gs: 'gs://[a-z0-9]' } as const
export type Scheme = keyof typeof STARTS

/** The beginning of the URI of a store, as a pattern. */
export const STORE_URI_START = `(?:${Object.values(STARTS).join('|')})`
