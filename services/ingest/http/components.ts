import { isDeepStrictEqual } from 'node:util'

/** Keywords whose values are data, and no schemas. */
const DATA: ReadonlySet<string> = new Set(['example', 'examples', 'const', 'enum', 'default'])

/**
 * Makes each schema with a title a component of that name, and refers to it wherever it stands.
 * @param paths of an OpenAPI document
 * @throws Error when two different schemas have the same title
 */
export function namedSchemas<Paths>(paths: Paths): {
  readonly paths: Paths
  readonly schemas: Readonly<Record<string, object>>
} {
  const schemas: Record<string, object> = {}

  function named(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(named)
    if (typeof value !== 'object' || value === null) return value
    const whole: Record<string, unknown> = Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, DATA.has(key) ? inner : named(inner)]),
    )
    const { title, ...schema } = whole
    // A property may be called title as well.
    if (typeof title !== 'string') return whole
    const other = schemas[title]
    if (other !== undefined && !isDeepStrictEqual(other, schema)) {
      throw new Error(`Two different schemas are called ${title}.`)
    }
    schemas[title] = schema
    return { $ref: `#/components/schemas/${title}` }
  }

  const withRefs = named(paths) as Paths
  const sorted = Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1))
  return { paths: withRefs, schemas: Object.fromEntries(sorted) }
}
