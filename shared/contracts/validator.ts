import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'
import { type ErrorCode, PermanentError } from './errors/chain.ts'

// The types say already that a schema is one; holding it against the standard's own takes 40 ms of every start.
const settings = {
  strict: true,
  allowUnionTypes: true,
  verbose: true,
  validateSchema: false,
} as const
const untilFirst = new Ajv(settings)
const untilLast = new Ajv({ ...settings, allErrors: true })
for (const ajv of [untilFirst, untilLast]) formats.default(ajv)

/** Values within a document that is told of in full. */
const SMALL = 1000

/**
 * A function that returns its argument, typed.
 * @throws PermanentError with `code`, naming every fault: what was wrong, where, what was expected. Of a
 * document of over a thousand values the first fault alone: each wrong item of a long list would cost memory.
 */
export function compile<T>(
  schema: TSchema,
  what: string,
  code: ErrorCode,
): (value: unknown) => T {
  // Not before it is needed: of all that is imported a service checks little, and should be ready soon.
  let validate: ValidateFunction<T> | undefined
  let explain: ValidateFunction<T> | undefined
  return (value) => {
    validate ??= untilFirst.compile<T>(schema)
    if (validate(value)) return value
    let faults = validate.errors ?? []
    if (isSmall(value)) {
      explain ??= untilLast.compile<T>(schema)
      if (!explain(value)) faults = explain.errors ?? faults
    }
    throw new PermanentError(code, `${what}: ${faults.slice(0, 10).map(fault).join('; ')}`, {
      at: faults[0]?.instancePath || '/',
    })
  }
}

function isSmall(value: unknown): boolean {
  // No recursion: what is checked may be nested deeper than the stack.
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

function fault(error: ErrorObject): string {
  const { instancePath, message, keyword, params, data, parentSchema } = error
  const where = instancePath || 'the document'
  if (keyword === 'additionalProperties')
    return `${where} has an unknown property ${show(params.additionalProperty)}`
  // A secret may be at fault, but is not for a log.
  const isShown = typeof data !== 'object' && parentSchema?.writeOnly !== true
  return `${where} ${message}${isShown ? `, got ${show(data)}` : ''}`
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text
}
