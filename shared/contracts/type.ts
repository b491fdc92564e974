import type { TSchema, Type as TypeBox } from 'typebox'

export type { Static, TInteger, TProperties, TSchema } from 'typebox'

/** The builders of schemas that are used here. */
type Builders = Pick<
  typeof TypeBox,
  | ('Array' | 'Boolean' | 'Enum' | 'Integer' | 'Literal' | 'Null' | 'Number' | 'Object')
  | ('Optional' | 'Partial' | 'Record' | 'String' | 'Union' | 'Unknown' | 'Unsafe')
>

/**
 * Builds a JSON Schema together with its static type, as TypeBox does, whose types these are. TypeBox itself has hundreds
 * of modules, and would take a fifth of every service's start.
 */
export const Type = {
  Array: (items: TSchema, options?: object) => ({ type: 'array', items, ...options }),
  Boolean: (options?: object) => ({ type: 'boolean', ...options }),
  Enum: (values: readonly unknown[], options?: object) => ({ enum: values, ...options }),
  Integer: (options?: object) => ({ type: 'integer', ...options }),
  Literal: (value: unknown, options?: object) => ({
    ...{ type: typeof value, const: value },
    ...options,
  }),
  Null: (options?: object) => ({ type: 'null', ...options }),
  Number: (options?: object) => ({ type: 'number', ...options }),
  Object: objectOf,
  Optional: optional,
  Partial: ({ properties }: ObjectSchema) => objectOf(mapped(properties, optional)),
  Record: (key: { readonly pattern?: string }, value: TSchema, options?: object) => ({
    ...{ type: 'object', patternProperties: { [key.pattern ?? '^.*$']: value } },
    ...options,
  }),
  String: (options?: object) => ({ type: 'string', ...options }),
  Union: (anyOf: readonly TSchema[], options?: object) => ({ anyOf, ...options }),
  Unknown: (options?: object) => ({ ...options }),
  Unsafe: (schema: TSchema) => schema,
} as unknown as Builders

type Properties = Readonly<Record<string, TSchema>>
interface ObjectSchema {
  readonly type: 'object'
  readonly required?: readonly string[]
  readonly properties: Properties
}

/** The mark of a property that may be left out. It is no part of the schema, and not enumerable. */
const OPTIONAL = '~optional'

function optional(schema: TSchema): TSchema {
  return Object.defineProperty({ ...schema }, OPTIONAL, { value: true })
}

function objectOf(properties: Properties, options?: object): ObjectSchema {
  const required = Object.entries(properties)
    .filter(([, schema]) => !(OPTIONAL in schema))
    .map(([name]) => name)
  return {
    type: 'object',
    ...(required.length > 0 && { required }),
    properties,
    ...options,
  }
}

function mapped(properties: Properties, by: (schema: TSchema) => TSchema): Properties {
  return Object.fromEntries(Object.entries(properties).map(([name, each]) => [name, by(each)]))
}
