import { Type } from 'typebox'
import { TEXT_PATTERN } from '../names.ts'

/** Text of one line, of so many characters at most. */
export function Line(maxLength: number) {
  return Type.String({ maxLength, pattern: TEXT_PATTERN })
}

/**
 * Where a master is: an object of a store, by a path that stays within what it names. Which stores may be read is judged
 * by whoever reads.
 */
export const MasterUri = Type.String({
  maxLength: 4096,
  pattern: '^(?!.*/\\.{1,2}(?:/|$))(?:gs://[a-z0-9]|file:///)[^\\u0000-\\u001f\\u007f\\\\]*$',
})

/** How a file of an asset ends. */
export const EXTENSION_PATTERN = '^[a-z0-9]{1,8}$'

/** What is counted from 1: more than this is no count. */
export const Count = Type.Integer({ minimum: 1, maximum: 1_000_000 })

/** The code of an error, of this or of another version. */
export const Code = Type.String({ pattern: '^[A-Z][A-Z0-9_]{1,63}$' })
