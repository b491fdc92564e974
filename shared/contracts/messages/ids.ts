import { Type } from 'typebox'
import { REQUEST_ID_CHARACTERS, REQUEST_ID_PATTERN } from '../names.ts'

/** The schema of a request's id. */
export function RequestId(description: string) {
  return Type.String({
    minLength: 1,
    maxLength: REQUEST_ID_CHARACTERS,
    pattern: REQUEST_ID_PATTERN,
    description,
  })
}

/** The schema of an integer that JSON parsers do not round. Larger numbers would change on the way. */
export function WholeNumber(description: string) {
  return Type.Integer({
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
    description,
  })
}
