import type { TSchema } from 'typebox'
import { Problem } from '#shared/contracts/api/problem.ts'

/** A response of JSON, for the route and the OpenAPI document. */
export function jsonResponse(
  description: string,
  schema: TSchema,
  type = 'application/json',
): Described {
  return { description, content: { [type]: { schema } } }
}

interface Described {
  readonly description: string
  readonly content: Readonly<Record<string, { readonly schema: TSchema }>>
}

/** The error responses of every route. */
export const refused = {
  '4xx': jsonResponse('Refused.', Problem, 'application/problem+json'),
  '5xx': jsonResponse('Could not be done.', Problem, 'application/problem+json'),
}
