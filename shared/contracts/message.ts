import { type Static, type TProperties, type TSchema, Type } from 'typebox'
import { PermanentError, type VerdictCode } from './errors/chain.ts'
import { sentence } from './errors/sentence.ts'
import { checkTexts, utf8 } from './text.ts'
import { compile } from './validator.ts'

/** The contract of a message: its name and version, its schema, and the only way in from untyped bytes. */
export interface Contract<Body> {
  /** Name and version, e.g. `run@1`, which are sent in the attribute `schema`. */
  readonly name: string
  readonly schema: TSchema
  /** Checks a value. @throws PermanentError that lists the faults. */
  check(value: unknown): Body
  /** Parses and checks. @throws PermanentError NOT_JSON, or the contract's own code. */
  parse(data: Uint8Array): Body
}

export type MessageOf<C> = C extends Contract<infer Body> ? Body : never

/** Declares a message once: the schema, the static type and the validator all come from `properties`. */
export function defineMessage<const P extends TProperties>(
  name: string,
  properties: P,
  options: {
    code?: VerdictCode
    schema?: Record<string, unknown>
    /** Checks what a schema cannot express: returns a sentence if two properties contradict each other. */
    contradiction?: (body: Static<ReturnType<typeof Type.Object<P>>>) => string | undefined
  } = {},
): Contract<Static<ReturnType<typeof Type.Object<P>>>> {
  const schema = Type.Object(properties, { additionalProperties: false, ...options.schema })
  const { code = 'NOT_A_MESSAGE', contradiction } = options
  const conforming = compile<Static<typeof schema>>(
    schema,
    name,
    (words, at) => new PermanentError(code, words, { at }),
  )
  const check = (value: unknown) => {
    const body = conforming(value)
    const fault = contradiction?.(body)
    if (fault !== undefined) throw new PermanentError(code, `${name}: ${fault}`)
    return body
  }
  return {
    name,
    schema,
    check,
    parse: (data) => check(json(data, name)),
  }
}

/** The contract of a topic with messages of two kinds. The first kind is recognized by a property that only it has. */
export function eitherOf<A, B>(
  first: Contract<A>,
  property: string & keyof A,
  second: Contract<B>,
): Contract<A | B> {
  const name = `${first.name} or ${second.name}`
  const check = (value: unknown): A | B => {
    const isFirst = typeof value === 'object' && value !== null && property in value
    return isFirst ? first.check(value) : second.check(value)
  }
  const schema = Type.Union([first.schema, second.schema])
  return { name, schema, check, parse: (data) => check(json(data, name)) }
}

/**
 * Parses `data` as JSON.
 * @throws PermanentError NOT_JSON with the position at which it is not JSON, or has text that cannot be stored.
 */
export function json(data: Uint8Array, what: string): unknown {
  let text: string
  let value: unknown
  try {
    text = utf8(data)
    value = JSON.parse(text)
  } catch (error) {
    throw new PermanentError('NOT_JSON', `${what}: ${sentence(error)}`)
  }
  checkTexts(text, value, what)
  return value
}

/** A count in a message of an unknown publisher. If it is not plausible, the result is `least`. */
export function countFrom(value: unknown, least: number): number {
  const number = Number(value ?? least)
  return Number.isSafeInteger(number) && number >= least && number <= MAX_COUNT ? number : least
}

/** An instant in such a message; undefined unless it is a valid instant in the past. */
export function pastInstant(value: unknown): string | undefined {
  if (typeof value !== 'string' || !ISO.test(value)) return undefined
  return Date.parse(value) <= Date.now() ? value : undefined
}

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/
const MAX_COUNT = 1_000_000
