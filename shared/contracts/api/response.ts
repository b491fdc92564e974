import { type Static, type TSchema, Type } from 'typebox'

// What the page imports, so nothing of Node: responses are described here without the patterns that requests keep to.

/** The type of a response: that of its schema, read only. */
export type ResponseOf<Schema extends TSchema> = ReadOnly<Static<Schema>>

type ReadOnly<T> = T extends readonly (infer Item)[]
  ? readonly ReadOnly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: ReadOnly<T[Key]> }
    : T

/** An instant in UTC, as `Date.toISOString` writes it. */
export function Instant(description: string) {
  return Type.String({ format: 'date-time', description })
}

/** What is always there, and null where there is nothing to say. */
export function Nullable<Schema extends TSchema>(
  schema: Schema,
  options: { readonly description?: string } = {},
) {
  return Type.Union([schema, Type.Null()], options)
}

/** Values by names that no contract knows beforehand. */
export function Dictionary<Schema extends TSchema>(
  values: Schema,
  options: { readonly description?: string } = {},
) {
  const schema = { type: 'object', additionalProperties: values, ...options }
  return Type.Unsafe<Record<string, Static<Schema>>>(schema)
}

/** A document of JSON inside a text, such as the data of a server-sent event. */
export function JsonText(schema: TSchema, options: { readonly description?: string } = {}) {
  return Type.String({
    contentMediaType: 'application/json',
    contentSchema: schema,
    ...options,
  })
}

/** The address of the next page of a list. */
export const NextPage = Nullable(Type.String(), {
  description: 'The address of the next page; null on the last.',
})

/** Why something failed. */
export const FailureCode = Type.String({
  description: 'One of GET /v1/errors, or of another release.',
})

export const Remedy = Type.String({
  description: 'What to do about it, where this release knows the code.',
})

export const AnalysisResult = Type.Unknown({
  description: 'What an analysis found, for assets that have a result.',
})

export const DeadLettered = Type.Boolean({
  description: 'Whether a dead letter about it is open.',
})
