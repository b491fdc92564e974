import { Type } from 'typebox'
import { TEXT_PATTERN } from '../names.ts'
import { STORE_URI_START } from '../store-uri.ts'

/** The schema of a text of one line, of at most `maxLength` characters. */
export function Line(maxLength: number) {
  return Type.String({ maxLength, pattern: TEXT_PATTERN })
}

/**
 * The URI of a master: an object in a store, by a path without dot segments. Which stores may be read is checked by the
 * service that reads it.
 */
export const MasterUri = Type.String({
  maxLength: 4096,
  pattern: `^(?!.*/\\.{1,2}(?:/|$))${STORE_URI_START}[^\\u0000-\\u001f\\u007f\\\\]*$`,
})

/** The extension of a file of an asset. */
export const EXTENSION_PATTERN = '^[a-z0-9]{1,8}$'

/** A count from 1. Larger numbers than this are not plausible. */
export const Count = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** The code of an error, of this or of another version. */
export const Code = Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' })
