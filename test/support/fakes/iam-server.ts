import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type handleUnaryCall, Server, ServerCredentials } from '@grpc/grpc-js'
import protobuf from 'protobufjs'

const { resolve } = createRequire(import.meta.url)
const gax = createRequire(resolve('@google-cloud/pubsub')).resolve('google-gax')
const PUBSUB = definitions(resolve('@google-cloud/pubsub/build/protos/protos.json'))
const IAM = definitions(join(dirname(gax), '../protos/iam_service.json'))

/** What Cloud Pub/Sub has, by full names such as `projects/p/topics/stage`. */
interface IamServer {
  readonly endpoint: string
  readonly topics: Set<string>
  /** As google.pubsub.v1.Subscription in JSON. */
  readonly subscriptions: Map<string, object>
  /** Bindings of a resource's own policy, as in JSON. */
  readonly policies: Map<string, readonly object[]>
  /** Permissions that the caller lacks, anywhere. */
  readonly lacking: Set<string>
  close(): void
}

/**
 * The part of Cloud Pub/Sub that the local server lacks: settings that it refuses, policies, and an identity that may
 * not do all. It only describes; no messages.
 */
export async function startIamServer(): Promise<IamServer> {
  const server = new Server()
  const has = {
    topics: new Set<string>(),
    subscriptions: new Map<string, object>(),
    policies: new Map<string, readonly object[]>(),
    lacking: new Set<string>(),
  }
  const kind = (name: string) => (/\/topics\//.test(name) ? 'topics' : 'subscriptions')
  const need = (name: string, verb: string) => {
    const permission = `pubsub.${kind(name)}.${verb}`
    // As in the cloud: a caller without permission does not learn whether the resource exists.
    if (has.lacking.has(permission)) throw refusal(7, `User not authorized: ${permission}`)
    if (!has[kind(name)].has(name)) throw refusal(5, `Resource not found: ${name}`)
  }
  serve(server, PUBSUB, 'google.pubsub.v1.Publisher', {
    GetTopic({ topic }) {
      need(topic, 'get')
      return { name: topic }
    },
  })
  serve(server, PUBSUB, 'google.pubsub.v1.Subscriber', {
    GetSubscription({ subscription }) {
      need(subscription, 'get')
      return { name: subscription, ...has.subscriptions.get(subscription) }
    },
  })
  serve(server, IAM, 'google.iam.v1.IAMPolicy', {
    GetIamPolicy({ resource }) {
      need(resource, 'getIamPolicy')
      return { version: 1, etag: Buffer.from('1'), bindings: has.policies.get(resource) ?? [] }
    },
    TestIamPermissions({ resource, permissions }) {
      const isThere = has[kind(resource)].has(resource)
      const held = permissions.filter((each: string) => isThere && !has.lacking.has(each))
      return { permissions: held }
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  return { endpoint: `127.0.0.1:${port}`, ...has, close: () => server.forceShutdown() }
}

// biome-ignore lint/suspicious/noExplicitAny: whatever the definitions say.
type Method = (request: any) => object

function serve(
  server: Server,
  root: protobuf.Root,
  service: string,
  methods: Readonly<Record<string, Method>>,
): void {
  for (const [name, method] of Object.entries(methods)) {
    const found = root.lookupService(service).methods[name]
    found?.resolve()
    const [requestType, responseType] = [
      found?.resolvedRequestType,
      found?.resolvedResponseType,
    ]
    if (!requestType || !responseType) throw new Error(`no such method: ${service} ${name}`)
    const handle: handleUnaryCall<object, object> = ({ request }, callback) => {
      try {
        callback(null, method(request))
      } catch (error) {
        callback(error as Error)
      }
    }
    const encoded = (value: object) =>
      Buffer.from(responseType.encode(responseType.fromObject(value)).finish())
    const decoded = (bytes: Buffer) => requestType.decode(bytes).toJSON()
    server.register(`/${service}/${name}`, handle, encoded, decoded, 'unary')
  }
}

function definitions(path: string): protobuf.Root {
  return protobuf.Root.fromJSON(JSON.parse(readFileSync(path, 'utf8')))
}

function refusal(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details })
}
