import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import protobuf from 'protobufjs'

/** One method of Pub/Sub's API, from its published definition. */
export interface Method {
  readonly name: string
  /** e.g. `/google.pubsub.v1.Publisher/Publish` */
  readonly path: string
  readonly request: protobuf.Type
  readonly response: protobuf.Type
  readonly streaming: boolean
  /** Its REST bindings: verb and path template. */
  readonly http: readonly { readonly verb: string; readonly template: string }[]
}

const VERBS = ['get', 'put', 'post', 'delete', 'patch']

/** Resources that may have an IAM policy; REST has a binding for each. */
const GUARDED = ['topics', 'subscriptions', 'snapshots', 'schemas']

/** Pub/Sub's services and IAM's, from the definitions that ship with the client library. */
export function pubsubMethods(): Method[] {
  const require = createRequire(import.meta.url)
  const file = require.resolve('@google-cloud/pubsub/build/protos/protos.json')
  const gax = dirname(createRequire(file).resolve('google-gax'))
  const iam = join(gax, '..', 'protos', 'iam_service.json')
  return [
    ...['Publisher', 'Subscriber', 'SchemaService'].flatMap((name) =>
      methodsOf(rootOf(file), `google.pubsub.v1.${name}`),
    ),
    ...methodsOf(rootOf(iam), 'google.iam.v1.IAMPolicy').map((method) => ({
      ...method,
      http: GUARDED.map((kind) => ({
        verb: method.name === 'GetIamPolicy' ? 'GET' : 'POST',
        template: `/v1/{resource=projects/*/${kind}/*}:${method.name[0]?.toLowerCase()}${method.name.slice(1)}`,
      })),
    })),
  ]
}

function rootOf(file: string): protobuf.Root {
  return protobuf.Root.fromJSON(JSON.parse(readFileSync(file, 'utf8')))
}

function methodsOf(root: protobuf.Root, service: string): Method[] {
  return root.lookupService(service).methodsArray.map((method) => {
    method.resolve()
    return {
      name: method.name,
      path: `/${service}/${method.name}`,
      request: method.resolvedRequestType as protobuf.Type,
      response: method.resolvedResponseType as protobuf.Type,
      streaming: method.requestStream === true,
      http: http(method.options ?? {}),
    }
  })
}

function http(options: Record<string, unknown>): Method['http'] {
  for (const verb of VERBS) {
    const template = options[`(google.api.http).${verb}`]
    if (typeof template === 'string') return [{ verb: verb.toUpperCase(), template }]
  }
  return []
}

/** A decoded message as a plain object: 64-bit integers are numbers, enums strings, defaults absent. */
export function plain(type: protobuf.Type, message: protobuf.Message): Record<string, unknown> {
  return type.toObject(message, { longs: Number, enums: String })
}
