import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import protobuf from 'protobufjs'

/** One method of Pub/Sub's API, as its published definition has it. */
export interface Method {
  readonly name: string
  /** e.g. `/google.pubsub.v1.Publisher/Publish` */
  readonly path: string
  readonly request: protobuf.Type
  readonly response: protobuf.Type
  readonly streaming: boolean
  /** How REST spells it: verb, path template, and whether a body is read. */
  readonly http:
    | { readonly verb: string; readonly template: string; readonly body: boolean }
    | undefined
}

const VERBS = ['get', 'put', 'post', 'delete', 'patch']

/** The services Publisher and Subscriber from the definitions that ship with the client library. */
export function pubsubMethods(): Method[] {
  const require = createRequire(import.meta.url)
  const file = require.resolve('@google-cloud/pubsub/build/protos/protos.json')
  const root = protobuf.Root.fromJSON(JSON.parse(readFileSync(file, 'utf8')))
  return ['Publisher', 'Subscriber'].flatMap((name) => {
    const service = root.lookupService(`google.pubsub.v1.${name}`)
    return service.methodsArray.map((method) => {
      method.resolve()
      return {
        name: method.name,
        path: `/google.pubsub.v1.${name}/${method.name}`,
        request: method.resolvedRequestType as protobuf.Type,
        response: method.resolvedResponseType as protobuf.Type,
        streaming: method.requestStream === true,
        http: http(method.options ?? {}),
      }
    })
  })
}

function http(options: Record<string, unknown>): Method['http'] {
  for (const verb of VERBS) {
    const template = options[`(google.api.http).${verb}`]
    if (typeof template === 'string')
      return {
        verb: verb.toUpperCase(),
        template,
        body: '(google.api.http).body' in options,
      }
  }
  return undefined
}

/** A decoded message as a plain object: 64-bit integers are numbers, enums strings, defaults absent. */
export function plain(type: protobuf.Type, message: protobuf.Message): Record<string, unknown> {
  return type.toObject(message, { longs: Number, enums: String })
}
