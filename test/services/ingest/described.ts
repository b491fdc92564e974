import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { Problem } from '#shared/contracts/api/problem.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { compile } from '#shared/contracts/validator.ts'

const checks = new Map<object, (value: unknown) => unknown>()

/**
 * Holds each JSON response against the schema that its route has for it: a field that is not described, or is not there
 * though required, makes it a 500, and its sentence stays in what is returned.
 */
export function describedResponses(app: FastifyInstance): ReadonlySet<string> {
  const faults = new Set<string>()
  app.addHook('onSend', async (request, reply, payload) => {
    const type = `${reply.getHeader('content-type')}`
    // What a HEAD answers is not sent.
    if (request.method === 'HEAD') return
    if (typeof payload !== 'string' || !/^application\/(?:[\w.-]+\+)?json\b/.test(type)) return
    const fault = faultOf(payload, schemaOf(request, reply.statusCode, type))
    if (fault === undefined) return
    const { method, routeOptions } = request
    faults.add(`${method} ${routeOptions.url} ${reply.statusCode}: ${fault}`)
    throw new Error(`${fault}: ${payload}`)
  })
  return faults
}

interface Responses {
  readonly [status: string]: {
    readonly content?: Readonly<Record<string, { readonly schema: TSchema }>>
  }
}

/** Undefined: nothing is described. Null: it need not be. */
function schemaOf(
  { routeOptions }: FastifyRequest,
  status: number,
  type: string,
): TSchema | null | undefined {
  const { schema } = routeOptions
  const isProblem = type.startsWith('application/problem+json')
  // An address that there is not has no route.
  if (schema === undefined || schema.hide === true) return isProblem ? Problem : null
  const { [status]: exact, [`${`${status}`[0]}xx`]: range } = (schema.response ??
    {}) as Responses
  return (exact ?? range)?.content?.[type.split(';')[0] ?? '']?.schema
}

function faultOf(payload: string, schema: TSchema | null | undefined): string | undefined {
  if (schema === null) return undefined
  if (schema === undefined) return 'no schema describes it'
  const check =
    checks.get(schema) ??
    compile<unknown>(closed(schema) as TSchema, 'it', (words) => new Error(words))
  checks.set(schema, check)
  try {
    check(JSON.parse(payload))
    return undefined
  } catch (error) {
    return sentence(error)
  }
}

/** The schema with no properties but those that it names. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closed(value)]),
  )
  const isObject = typeof inner.properties === 'object' && inner.type === 'object'
  return isObject ? { additionalProperties: false, ...inner } : inner
}
