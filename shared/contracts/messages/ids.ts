import { Type } from 'typebox'
import { REQUEST_ID_CHARACTERS, REQUEST_ID_PATTERN } from '../names.ts'

/** What a request is called. */
export function RequestId(description: string) {
  return Type.String({
    minLength: 1,
    maxLength: REQUEST_ID_CHARACTERS,
    pattern: REQUEST_ID_PATTERN,
    description,
  })
}

/** A whole number that JSON readers do not round: larger ones would become another number on the way. */
export function WholeNumber(description: string) {
  return Type.Integer({
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
    description,
  })
}
