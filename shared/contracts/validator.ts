import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'

// What takes time at every start is left out. Schemas are not validated, because their types guarantee that they are
// valid (40 ms). The code is not optimized, because V8 does that: it checks as fast, and takes half as long to make.
const settings = {
  strict: true,
  allowUnionTypes: true,
  validateSchema: false,
  code: { optimize: false },
} as const
// Most documents are valid: the code that checks them has no words on faults, which take a quarter of the time to make.
const checking = withFormats(new Ajv({ ...settings, messages: false }))

function withFormats(ajv: Ajv): Ajv {
  formats.default(ajv)
  return ajv
}

/** A fault of a document. */
export interface Fault {
  /** A JSON pointer to the value; empty for the whole document. */
  readonly at: string
  /** What was wrong and what was expected, as the rest of a sentence that begins with the place. */
  readonly wrong: string
  /** The name of a property of that value, if it is unknown or missing. */
  readonly property?: string
}

/** Makes the error for a document that does not match its schema. `at` is the JSON pointer to the first fault. */
type Refuse = (sentence: string, at: string, faults: readonly Fault[]) => Error

/** The maximum number of values in a document for which all faults are reported. */
const SMALL = 1000

/**
 * Compiles a schema to a function that checks its argument and returns it, typed.
 * @throws the error that `refuse` makes of a sentence that lists every fault: what was wrong, where, and what was
 * expected. For a document of more than 1,000 values it has the first fault only: each wrong item of a long list would
 * cost memory.
 */
export function compile<T>(
  schema: TSchema,
  what: string,
  refuse: Refuse,
): (value: unknown) => T {
  // Compiled at first use: a service uses few of the schemas that it imports, and should start fast.
  let validate: ValidateFunction<T> | undefined
  const explaining = new Map<boolean, ValidateFunction>()
  return (value) => {
    validate ??= checking.compile<T>(schema)
    if (validate(value)) return value
    const allErrors = isSmall(value)
    const explain =
      explaining.get(allErrors) ??
      withFormats(new Ajv({ ...settings, verbose: true, allErrors })).compile(schema)
    explaining.set(allErrors, explain)
    explain(value)
    const faults = explain.errors ?? []
    const named = faults.slice(0, 10).map(toFault)
    const sentences = named.map(({ at, wrong }) => `${at || 'the document'} ${wrong}`)
    throw refuse(`${what}: ${sentences.join('; ')}`, named[0]?.at || '/', named)
  }
}

function isSmall(value: unknown): boolean {
  // No recursion, because the value may be nested deeper than the stack.
  const waiting: unknown[] = [value]
  for (let seen = 1; waiting.length > 0; ) {
    const next = waiting.pop()
    if (typeof next !== 'object' || next === null) continue
    const inner = Object.values(next)
    seen += inner.length
    if (seen > SMALL) return false
    waiting.push(...inner)
  }
  return true
}

function toFault(error: ErrorObject): Fault {
  const { instancePath: at, message, keyword, params, data, parentSchema } = error
  if (keyword === 'additionalProperties') {
    const property = params.additionalProperty
    return { at, wrong: `has an unknown property ${show(property)}`, property }
  }
  if (keyword === 'required')
    return { at, wrong: `${message}`, property: params.missingProperty }
  if (keyword === 'enum') {
    const allowed = params.allowedValues.map(show).join(', ')
    return { at, wrong: `must be one of ${allowed}, got ${show(data)}` }
  }
  // The value of a secret must not be logged.
  const isShown = typeof data !== 'object' && parentSchema?.writeOnly !== true
  return { at, wrong: `${message}${isShown ? `, got ${show(data)}` : ''}` }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text
}
