import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { Kubelet, KubePod } from './kubelet.ts'

/** What the next matching requests meet instead of an honest answer. */
interface ApiFault {
  /** Only requests whose `METHOD /path?query` matches. */
  readonly on: RegExp
  times: number
  /** Answers with this status, and does nothing. */
  readonly status?: number
  readonly retryAfter?: number
  /** Does as asked, then cuts the connection instead of answering. */
  readonly loseAnswer?: true
}

type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'
interface Change {
  readonly version: number
  readonly type: EventType
  readonly pod: KubePod
}
interface Watcher {
  readonly labels: Labels
  readonly response: ServerResponse
}
type Labels = readonly (readonly [string, string])[]

const NAMESPACE = 'tracks'
const DNS_LABEL = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

/**
 * The pods of one namespace as an API server has them: create, get, list, watch, delete, log, over HTTP, with
 * resource versions, label selectors, preconditions, graceful deletion, a quota, and faults on command. What it
 * keeps, and the kubelet that runs the pods, outlive the server, which can be killed and started again on its port.
 */
export class KubeApi {
  /** How many pods may live at once before creation is forbidden, as by a ResourceQuota. */
  quota = Number.POSITIVE_INFINITY
  readonly faults: ApiFault[] = []
  /** Pods of others, by name: they are looked at, and nothing becomes of them. */
  readonly others = new Map<string, Pick<KubePod, 'metadata' | 'spec'>>()
  /** `METHOD name status` of each request that would change something. */
  readonly writes: string[] = []
  /** The most pods that lived at once. */
  most = 0
  readonly #pods = new Map<string, KubePod>()
  readonly #kubelet: Kubelet
  #version = 1000
  #history: Change[] = []
  #compacted = 0
  readonly #watchers = new Set<Watcher>()
  #server: Server | undefined
  #port = 0

  constructor(kubelet: Kubelet) {
    this.#kubelet = kubelet
    kubelet.report = (pod) => this.#save(pod)
    kubelet.gone = (pod) => this.#drop(pod)
  }

  get pods(): KubePod[] {
    return [...this.#pods.values()]
  }

  get live(): number {
    return this.pods.filter(({ status }) => !/Succeeded|Failed/.test(status.phase)).length
  }

  /** A kubeconfig for it. */
  get kubeconfig(): string {
    const server = `http://127.0.0.1:${this.#port}`
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'test', user: { token: 'test' } }],
      contexts: [
        { name: 'test', context: { cluster: 'test', user: 'test', namespace: NAMESPACE } },
      ],
      'current-context': 'test',
    })
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        if (!response.headersSent) this.#status(response, 500, 'InternalError', String(error))
      })
    })
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  /** As if killed: connections are cut. What it has kept stays, and the pods go on. */
  async kill(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#watchers.clear()
    const closed = new Promise((resolve) => server?.close(resolve))
    server?.closeAllConnections()
    if (server) await closed
  }

  async close(): Promise<void> {
    await this.kill()
    await this.#kubelet.close()
  }

  /** Cuts every watch, as a load balancer does. */
  dropWatches(): void {
    for (const { response } of this.#watchers) response.destroy()
  }

  /** Forgets past changes: a watch from an earlier version gets 410. */
  compact(): void {
    this.#compacted = this.#version
    this.#history = []
  }

  /** Reports to all watchers that their version is too old. */
  expireWatches(): void {
    for (const { response } of this.#watchers) {
      response.end(
        `${JSON.stringify({ type: 'ERROR', object: status(410, 'Expired', 'too old') })}\n`,
      )
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    const { pathname, searchParams: query } = new URL(url, 'http://host')
    const body = method === 'GET' ? undefined : await json(request).catch(() => undefined)
    const [, name, sub] =
      new RegExp(`^/api/v1/namespaces/${NAMESPACE}/pods(?:/([^/]+)(/log)?)?$`).exec(pathname) ??
      []
    const fault = this.faults.find(({ on, times }) => times > 0 && on.test(`${method} ${url}`))
    if (fault) fault.times--
    if (method !== 'GET') {
      const posted = (body as KubePod | undefined)?.metadata?.name
      response.on('close', () =>
        this.writes.push(`${method} ${name ?? posted} ${response.statusCode}`),
      )
    }
    if (fault?.status !== undefined) {
      if (fault.retryAfter !== undefined) response.setHeader('retry-after', fault.retryAfter)
      this.#status(response, fault.status, 'Fault', 'as the test has it')
      return
    }
    // The change has been made, although no answer is sent.
    const answer = fault?.loseAnswer ? lost(response) : response
    if (!pathname.includes('/pods')) this.#status(answer, 404, 'NotFound', pathname)
    else if (name === undefined && method === 'GET') this.#list(query, answer)
    else if (name === undefined) this.#create(body as KubePod, answer)
    else {
      const pod = this.#pods.get(name)
      const other = this.others.get(name)
      if (other !== undefined && method === 'GET') this.#json(answer, 200, other)
      else if (pod === undefined)
        this.#status(answer, 404, 'NotFound', `pods "${name}" not found`)
      else if (sub === '/log') this.#log(pod, query, answer)
      else if (method === 'DELETE') this.#delete(pod, body as DeleteOptions, query, answer)
      else this.#json(answer, 200, pod)
    }
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const labels = selector(query.get('labelSelector') ?? '')
    if (query.get('watch') === 'true') {
      this.#watch(labels, query, response)
      return
    }
    const items = this.pods.filter((pod) => matches(pod, labels))
    const metadata = { resourceVersion: String(this.#version) }
    this.#json(response, 200, { apiVersion: 'v1', kind: 'PodList', metadata, items })
  }

  #watch(labels: Labels, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion'))
    if (from < this.#compacted) {
      this.#status(response, 410, 'Expired', `too old resource version: ${from}`)
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    const watcher = { labels, response }
    for (const change of this.#history) if (change.version > from) tell(watcher, change)
    this.#watchers.add(watcher)
    const seconds = Number(query.get('timeoutSeconds') ?? 1800)
    const timer = setTimeout(() => response.end(), seconds * 1000)
    response.on('close', () => {
      clearTimeout(timer)
      this.#watchers.delete(watcher)
    })
  }

  #create(pod: KubePod, response: ServerResponse): void {
    const name = pod.metadata?.name
    const fault = invalid(pod)
    if (fault) this.#status(response, 422, 'Invalid', `Pod "${name}" is invalid: ${fault}`)
    else if (this.#pods.has(name)) {
      this.#status(response, 409, 'AlreadyExists', `pods "${name}" already exists`)
    } else if (this.live >= this.quota) {
      this.#status(response, 403, 'Forbidden', `pods "${name}" is forbidden: exceeded quota`)
    } else {
      const created: KubePod = {
        ...pod,
        metadata: {
          ...pod.metadata,
          namespace: NAMESPACE,
          uid: randomUUID(),
          creationTimestamp: new Date().toISOString(),
        },
        status: { phase: 'Pending' },
      }
      this.#save(created, 'ADDED')
      this.#json(response, 201, created)
      this.#kubelet.run(created)
    }
  }

  #delete(
    pod: KubePod,
    options: DeleteOptions | undefined,
    query: URLSearchParams,
    response: ServerResponse,
  ): void {
    const { name, uid } = pod.metadata
    const wanted = options?.preconditions?.uid
    if (wanted !== undefined && wanted !== uid) {
      this.#status(
        response,
        409,
        'Conflict',
        `the UID in the precondition (${wanted}) is not ${uid}`,
      )
      return
    }
    const { terminationGracePeriodSeconds = 30 } = pod.spec
    const asked = options?.gracePeriodSeconds ?? query.get('gracePeriodSeconds')
    const hasEnded = /Succeeded|Failed/.test(pod.status.phase)
    const grace = hasEnded ? 0 : Number(asked ?? terminationGracePeriodSeconds)
    if (grace === 0) {
      this.#drop(pod)
      this.#json(response, 200, pod)
      if (!hasEnded) this.#kubelet.kill(name)
      return
    }
    const deletionTimestamp = new Date(Date.now() + grace * 1000).toISOString()
    pod.metadata = { ...pod.metadata, deletionTimestamp, deletionGracePeriodSeconds: grace }
    this.#save(pod)
    this.#json(response, 200, pod)
    this.#kubelet.terminate(name, grace * 1000)
  }

  #log(pod: KubePod, query: URLSearchParams, response: ServerResponse): void {
    const lines = this.#kubelet.log(pod.metadata.name).trimEnd().split('\n')
    const tail = lines.slice(-Number(query.get('tailLines') ?? lines.length))
    response.writeHead(200, { 'content-type': 'text/plain' }).end(`${tail.join('\n')}\n`)
  }

  #save(pod: KubePod, type: EventType = 'MODIFIED'): void {
    // The kubelet may speak of one that was removed by force.
    if (
      type === 'MODIFIED' &&
      this.#pods.get(pod.metadata.name)?.metadata.uid !== pod.metadata.uid
    )
      return
    this.#pods.set(pod.metadata.name, pod)
    this.#change(type, pod)
    this.most = Math.max(this.most, this.live)
  }

  #drop(pod: KubePod): void {
    if (this.#pods.get(pod.metadata.name)?.metadata.uid !== pod.metadata.uid) return
    this.#pods.delete(pod.metadata.name)
    this.#change('DELETED', pod)
  }

  #change(type: EventType, pod: KubePod): void {
    const version = ++this.#version
    pod.metadata = { ...pod.metadata, resourceVersion: String(version) }
    const change = { version, type, pod: structuredClone(pod) }
    this.#history.push(change)
    for (const watcher of this.#watchers) tell(watcher, change)
  }

  #status(response: ServerResponse, code: number, reason: string, message: string): void {
    this.#json(response, code, status(code, reason, message))
  }

  #json(response: ServerResponse, code: number, body: unknown): void {
    response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
}

interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string }
}

function status(code: number, reason: string, message: string) {
  return { apiVersion: 'v1', kind: 'Status', status: 'Failure', code, reason, message }
}

function tell({ labels, response }: Watcher, { type, pod }: Change): void {
  if (!response.writableEnded && matches(pod, labels))
    response.write(`${JSON.stringify({ type, object: pod })}\n`)
}

function selector(text: string): Labels {
  return text.split(',').flatMap((term) => {
    const [key, value] = term.split('=')
    return key && value !== undefined ? [[key, value] as const] : []
  })
}

function matches({ metadata }: KubePod, labels: Labels): boolean {
  return labels.every(([key, value]) => metadata.labels?.[key] === value)
}

/** What a real server would say first, of what we could get wrong. */
function invalid({ metadata, spec }: KubePod): string | undefined {
  if (!DNS_LABEL.test(metadata?.name ?? '')) return `metadata.name: ${metadata?.name}`
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!LABEL_VALUE.test(value) || !/^([a-z0-9.-]+\/)?[A-Za-z0-9][-\w.]*$/.test(key))
      return `metadata.labels: ${key}=${value}`
  }
  if (!spec?.containers?.length) return 'spec.containers: Required value'
  for (const { name, image, resources = {}, env = [], args = [] } of spec.containers) {
    if (!name || !image) return 'spec.containers[0].image: Required value'
    if ([...args, ...env.map(({ value }) => value)].some((text) => typeof text !== 'string'))
      return 'args and env must be strings'
    for (const [kind, amount] of Object.entries(resources.requests ?? {})) {
      if (!/^\d+(\.\d+)?(m|Ki|Mi|Gi)?$/.test(amount)) return `requests.${kind}: ${amount}`
      const limit = resources.limits?.[kind]
      if (kind !== 'ephemeral-storage' && limit !== amount) return `limits.${kind}: ${limit}`
    }
  }
  if (!Number.isInteger(spec.activeDeadlineSeconds ?? 1)) return 'spec.activeDeadlineSeconds'
  return undefined
}

/** An answer that never arrives. */
function lost(response: ServerResponse): ServerResponse {
  response.end = (() => {
    response.destroy()
    return response
  }) as never
  return response
}
