import type { IncomingMessage, Server } from 'node:http'
import type protobuf from 'protobufjs'
import { type Names, refusal } from '#shared/frame/door.ts'
import { createServer } from '#shared/frame/node-http.ts'
import type { Broker } from '../broker.ts'
import { Fault, type Status } from '../fault.ts'
import type { Guard } from './access.ts'
import { checkRequest } from './body.ts'
import { fromJson, toJson } from './json.ts'
import {
  type AckId,
  checkDeadline,
  operations,
  parseAckId,
  pull,
  someAckIds,
} from './operations.ts'
import type { Method } from './protos.ts'
import { received } from './received.ts'

/** The REST/JSON front end: an HTTP server that does not listen on a port itself. */
export function restFront(
  broker: Broker,
  methods: readonly Method[],
  { guard, names }: { readonly guard: Guard; readonly names: Names },
): Server {
  const routes = methods.flatMap(route)
  const calls = restCalls(broker, methods)
  return createServer(async (request, response) => {
    const reply = (status: number, body: object) => {
      response.writeHead(status, HEADERS)
      response.end(JSON.stringify(body))
    }
    try {
      const refused = refusal(request, { names })
      if (refused) throw new Fault('PERMISSION_DENIED', refused.sentence)
      const { path, query } = addressOf(request)
      const found = routes.find(
        ({ verb, pattern }) => verb === request.method && pattern.test(path),
      )
      // Clients poll this path to see whether the server is up.
      if (path === '/' && request.method === 'GET') return reply(200, {})
      if (!found) throw new Fault('NOT_FOUND', `There is no ${request.method} ${path} here.`)
      const { method, field, pattern } = found
      const call = calls[method.name]
      // The request of an unsupported method is not read: it may have another shape.
      const json = call ? { ...withoutOptions(query), ...(await body(request)) } : {}
      const asked = fromJson(method.request, json)
      set(asked, field, pattern.exec(path)?.[1] ?? '')
      guard(method.name, asked, request.headers.authorization)
      if (!call) throw new Fault('FAILED_PRECONDITION', `This server has no ${method.name}.`)
      const answer = await call(asked, (withdraw) => response.once('close', withdraw))
      const said = toJson(method.response, answer)
      broker.committed(() => reply(200, said))
    } catch (error) {
      const status = error instanceof Fault ? error.status : 'INTERNAL'
      const message = error instanceof Error ? error.message : String(error)
      const code = HTTP_STATUS[status]
      reply(code, { error: { code, message, status } })
    }
  })
}

type Request = Record<string, unknown>
type Call = (
  request: Request,
  onGone: (withdraw: () => void) => void,
) => object | Promise<object>

// https://cloud.google.com/apis/design/errors#handling_errors. Never 501: gcloud would retry that for a minute.
const HTTP_STATUS: Record<Status, number> = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  INTERNAL: 500,
  UNAVAILABLE: 503,
}
const HEADERS = {
  'content-type': 'application/json; charset=utf-8',
  'x-content-type-options': 'nosniff',
  'cross-origin-resource-policy': 'same-origin',
}
/** 10 MiB of data in base64, and some attributes. */
const MAX_BODY_BYTES = 20 << 20

function restCalls(broker: Broker, methods: readonly Method[]): Record<string, Call> {
  const publish = methods.find(({ name }) => name === 'Publish')
  const message = publish?.request.fields.messages?.resolve().resolvedType as protobuf.Type
  return {
    ...operations(broker, methods),
    Publish: (request) => {
      const encoded = ((request.messages ?? []) as object[]).map((each) =>
        Buffer.from(message.encode(message.fromObject(each)).finish()),
      )
      checkRequest(encoded)
      return { messageIds: broker.publish(String(request.topic), encoded).map(String) }
    },
    Acknowledge: (request) => {
      const queue = broker.queue(String(request.subscription))
      for (const { id } of ackIds(request)) queue.ack(id)
      return {}
    },
    ModifyAckDeadline: (request) => {
      const queue = broker.queue(String(request.subscription))
      const leaseSeconds = Number(request.ackDeadlineSeconds ?? 0)
      checkDeadline(leaseSeconds)
      for (const { id, attempt } of ackIds(request)) queue.modify(id, attempt, leaseSeconds)
      return {}
    },
    Pull: (request, onGone) =>
      new Promise((resolve, reject) => {
        try {
          const subscription = String(request.subscription)
          const counted = broker.queue(subscription).config.deadLetterPolicy !== undefined
          const options = {
            subscription,
            max: Number(request.maxMessages ?? 0),
            wait: !request.returnImmediately,
          }
          onGone(
            pull(broker, options, (leases) =>
              resolve({
                receivedMessages: leases.map((lease) => received(message, lease, counted)),
              }),
            ),
          )
        } catch (error) {
          reject(error)
        }
      }),
  }
}

function ackIds(request: Request): readonly AckId[] {
  return someAckIds(((request.ackIds ?? []) as string[]).map(parseAckId))
}

interface Route {
  readonly method: Method
  readonly verb: string
  readonly pattern: RegExp
  /** The request's field that the path names, e.g. `topic` or `subscription.name`. */
  readonly field: string
}

/** `/v1/{topic=projects/x/topics/x}:publish` of google.api.http as a regular expression (x for a star). */
function route(method: Method): Route[] {
  return method.http.map(({ verb, template }) => {
    const [, before = '', field = '', inner = '', after = ''] =
      /^(.*)\{([^=}]+)=([^}]+)\}(.*)$/.exec(template) ?? []
    const pattern = new RegExp(`^${before}(${inner.replaceAll('*', '[^/:]+')})${after}$`)
    return { method, verb, pattern, field }
  })
}

function set(request: Request, field: string, value: unknown): void {
  const [first = '', second] = field.split('.')
  if (second === undefined) request[first] = value
  else request[first] = { ...(request[first] as Request), [second]: value }
}

/**
 * Parameters that Google's APIs accept besides the fields of a request:
 * https://cloud.google.com/apis/docs/system-parameters
 */
const OPTIONS =
  /^\$?(?:\.xgafv|access_token|alt|callback|fields|key|oauth_token|prettyPrint|quotaUser|upload_protocol|uploadType)$/

/** The query without those parameters, as a request; `options.version` is a field of a field. */
function withoutOptions(query: Request): Request {
  const fields: Request = {}
  for (const [name, value] of Object.entries(query))
    if (!OPTIONS.test(name)) set(fields, name, value)
  return fields
}

/** The path and the query of a request. @throws Fault when the address is malformed. */
function addressOf({ url = '/' }: IncomingMessage): { path: string; query: Request } {
  try {
    const { pathname, searchParams } = new URL(url, 'http://localhost')
    return { path: decodeURIComponent(pathname), query: Object.fromEntries(searchParams) }
  } catch {
    throw new Fault('INVALID_ARGUMENT', `Not an address: ${JSON.stringify(url.slice(0, 200))}`)
  }
}

async function body(request: IncomingMessage): Promise<Request> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES)
      throw new Fault('INVALID_ARGUMENT', `The request is larger than ${MAX_BODY_BYTES} bytes.`)
    chunks.push(chunk)
  }
  if (size === 0) return {}
  // Without a preflight a page of another origin may only send text or a form: requiring JSON keeps pages out.
  const type = request.headers['content-type'] ?? ''
  if (!/^application\/json *(?:;|$)/i.test(type))
    throw new Fault(
      'INVALID_ARGUMENT',
      `The content type must be application/json: ${JSON.stringify(type.slice(0, 100))}.`,
    )
  let json: unknown
  try {
    json = JSON.parse(Buffer.concat(chunks).toString())
  } catch (error) {
    throw new Fault('INVALID_ARGUMENT', `The request is not JSON: ${(error as Error).message}`)
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Request
  throw new Fault('INVALID_ARGUMENT', 'The request must be a JSON object.')
}
