import { Ajv, type ErrorObject } from 'ajv'
import formats from 'ajv-formats'
import type { TSchema } from 'typebox'
import { type ErrorCode, PermanentError } from './errors.ts'

const ajv = new Ajv({ strict: true, allErrors: true, allowUnionTypes: true, verbose: true })
formats.default(ajv)

/**
 * A function that returns its argument, typed.
 * @throws PermanentError with `code`, naming every fault: what was wrong, where, what was expected.
 */
export function compile<T>(
  schema: TSchema,
  what: string,
  code: ErrorCode,
): (value: unknown) => T {
  const validate = ajv.compile<T>(schema)
  return (value) => {
    if (validate(value)) return value
    const faults = validate.errors ?? []
    throw new PermanentError(code, `${what}: ${faults.map(fault).slice(0, 10).join('; ')}`, {
      at: faults[0]?.instancePath || '/',
    })
  }
}

function fault({ instancePath, message, keyword, params, data }: ErrorObject): string {
  const where = instancePath || 'the document'
  if (keyword === 'additionalProperties')
    return `${where} has an unknown property ${show(params.additionalProperty)}`
  return `${where} ${message}${typeof data === 'object' ? '' : `, got ${show(data)}`}`
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length} characters)` : text
}
