import { Readable } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { Problem } from '#shared/contracts/api/problem.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { compile } from '#shared/contracts/validator.ts'

const checks = new Map<object, (value: unknown) => unknown>()

/**
 * Holds each JSON response against the schema that its route has for it: a field that is not described, or is not there
 * though required, makes it a 500, and its sentence stays in what is returned. So does the sentence about a line of
 * NDJSON or a server-sent event, which are held against the schema of one.
 */
export function describedResponses(app: FastifyInstance): ReadonlySet<string> {
  const faults = new Set<string>()
  app.addHook('onSend', async (request, reply, payload) => {
    const type = `${reply.getHeader('content-type')}`
    // What a HEAD answers is not sent.
    if (request.method === 'HEAD') return
    const { method, routeOptions } = request
    const where = `${method} ${routeOptions.url} ${reply.statusCode}`
    const schema = schemaOf(request, reply.statusCode, type)
    const streamed = STREAMED[type.split(';')[0] ?? '']
    if (payload instanceof Readable && streamed !== undefined) {
      watch(payload, streamed, (document) => {
        const fault = faultOf(document, schema)
        if (fault !== undefined) faults.add(`${where}: ${fault}: ${JSON.stringify(document)}`)
      })
      return
    }
    if (typeof payload !== 'string' || !/^application\/(?:[\w.-]+\+)?json\b/.test(type)) return
    const fault = faultOf(JSON.parse(payload), schema)
    if (fault === undefined) return
    faults.add(`${where}: ${fault}`)
    throw new Error(`${fault}: ${payload}`)
  })
  return faults
}

interface Streamed {
  readonly separator: string
  /** Undefined for what is no document, such as a comment. */
  documentIn(text: string): unknown
}

const STREAMED: Readonly<Record<string, Streamed>> = {
  'application/x-ndjson': { separator: '\n', documentIn: JSON.parse },
  'text/event-stream': { separator: '\n\n', documentIn: eventIn },
}

/** Calls `check` with each document that a stream sends. */
function watch(
  stream: Readable,
  { separator, documentIn }: Streamed,
  check: (document: unknown) => void,
): void {
  const decoder = new StringDecoder('utf8')
  let held = ''
  const push = stream.push.bind(stream)
  // A second reader would hurry the stream, and its pace is under test.
  stream.push = (chunk, encoding) => {
    const texts = (held + (chunk === null ? '' : decoder.write(chunk))).split(separator)
    held = texts.pop() ?? ''
    for (const text of texts) {
      const document = documentIn(text)
      if (document !== undefined) check(document)
    }
    return push(chunk, encoding)
  }
}

/** The fields of a server-sent event, with the value that is in its data. */
function eventIn(text: string): unknown {
  const fields = text.split('\n').map((line) => /^(\w*): ?(.*)$/s.exec(line) ?? [])
  const event = Object.fromEntries(fields.map(([, field = '', value = '']) => [field, value]))
  if ('' in event) return undefined
  return { ...event, ...('data' in event ? { data: JSON.parse(event.data) } : {}) }
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

function faultOf(document: unknown, schema: TSchema | null | undefined): string | undefined {
  if (schema === null) return undefined
  if (schema === undefined) return 'no schema describes it'
  const check =
    checks.get(schema) ??
    compile<unknown>(closed(schema) as TSchema, 'it', (words) => new Error(words))
  checks.set(schema, check)
  try {
    check(document)
    return undefined
  } catch (error) {
    return sentence(error)
  }
}

/** The schema with no properties but those that it names, and of a value that is inside a text that value's own. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  if ('contentSchema' in schema) return closed(schema.contentSchema)
  const inner = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, closed(value)]),
  )
  const isObject = typeof inner.properties === 'object' && inner.type === 'object'
  return isObject ? { additionalProperties: false, ...inner } : inner
}
