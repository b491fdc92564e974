import {
  ApiException,
  CoreV1Api,
  createConfiguration,
  KubeConfig,
  loadYaml,
  ServerConfiguration,
  type V1Pod,
  type V1Status,
  Watch,
} from '@kubernetes/client-node'

/** A pod as the API has it. Its times are strings in what a watch says, and Dates elsewhere: see `timeOf`. */
export type Pod = V1Pod

export interface PodEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly pod: Pod
}

/** The pods of one namespace. Every call ends within half a minute but for `watch`. @throws ClusterError */
export interface Cluster {
  readonly server: string
  readonly namespace: string
  /** Those with these labels, and the version that a watch may begin from. */
  list(labels: string): Promise<{ pods: readonly Pod[]; version: string }>
  /** Tells what changes from that version on, until the server ends it, half a minute passes in silence, or `signal` aborts. */
  watch(
    labels: string,
    version: string,
    onEvent: (event: PodEvent) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** @throws ClusterError 409 when there is one of that name. */
  create(pod: Pod): Promise<Pod>
  read(name: string): Promise<Pod | undefined>
  /** Removes this very pod; false when it was gone already. `force`: without waiting for its node. */
  remove(pod: Pod, options?: { force?: boolean }): Promise<boolean>
  /** The end of what its container has said; empty when nobody knows any more. */
  lastLines(name: string, lines: number): Promise<string>
}

/** What the API server refused, or that it did not answer. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  /** Of HTTP; undefined when there was no answer. */
  readonly status: number | undefined
  /** How long the server asks us to wait, ms. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, status?: number, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** A call that changes or reads one thing, ms. */
const CALL_MS = 30_000
/** A watch is begun anew after so long, give or take, seconds: then all is listed again. */
const WATCH_SECONDS = 240

/** The cluster that KUBECONFIG names, or that this process runs in. */
export function openCluster(): Cluster {
  const config = new KubeConfig()
  config.loadFromDefault()
  const server = config.getCurrentCluster()?.server ?? ''
  const context = config.getContextObject(config.getCurrentContext())
  const namespace = context?.namespace ?? 'default'
  const api = new CoreV1Api(
    createConfiguration({
      baseServer: new ServerConfiguration(server, {}),
      authMethods: { default: config },
      promiseMiddleware: [
        {
          async pre(request) {
            // By itself the library would wait for five minutes.
            request.setSignal(AbortSignal.timeout(CALL_MS))
            return request
          },
          post: async (response) => response,
        },
      ],
    }),
  )
  return {
    server,
    namespace,
    async list(labels) {
      const list = await call('list pods', () =>
        api.listNamespacedPod({ namespace, labelSelector: labels }),
      )
      return { pods: list.items, version: list.metadata?.resourceVersion ?? '' }
    },
    watch: (labels, version, onEvent, signal) =>
      watch(config, { namespace, labels, version }, onEvent, signal),
    create: (pod) =>
      call(`create pod ${pod.metadata?.name}`, () =>
        api.createNamespacedPod({ namespace, body: pod, fieldValidation: 'Strict' }),
      ),
    read: (name) =>
      unlessGone(() =>
        call(`get pod ${name}`, () => api.readNamespacedPod({ name, namespace })),
      ),
    async remove(pod, { force = false } = {}) {
      const { name = '', uid } = pod.metadata ?? {}
      const body = {
        ...(uid === undefined ? {} : { preconditions: { uid } }),
        ...(force ? { gracePeriodSeconds: 0 } : {}),
      }
      try {
        const removed = await unlessGone(() =>
          call(`delete pod ${name}`, () => api.deleteNamespacedPod({ name, namespace, body })),
        )
        return removed !== undefined
      } catch (error) {
        // Another one has its name.
        if (error instanceof ClusterError && error.status === 409) return false
        throw error
      }
    },
    async lastLines(name, lines) {
      const tailLines = lines
      const text = await unlessGone(() =>
        call(`read the log of pod ${name}`, () =>
          api.readNamespacedPodLog({ name, namespace, tailLines }),
        ),
      )
      return text ?? ''
    },
  }
}

/**
 * What an operator has written of a pod, as the API knows it.
 * @throws Error that names what the API has no field for: the library would drop it without a word.
 */
export function checkedTemplate(template: object): Pod {
  const whole = { ...template, apiVersion: 'v1', kind: 'Pod' }
  const pod = loadYaml<Pod>(JSON.stringify(whole))
  const unknown = lost(whole, JSON.parse(JSON.stringify(pod)), '')
  if (unknown.length > 0) {
    throw new Error(`the pod template: a Pod has no ${unknown.join(', no ')}`)
  }
  return pod
}

function lost(given: unknown, kept: unknown, path: string): string[] {
  if (typeof given !== 'object' || given === null) return []
  return Object.entries(given).flatMap(([key, value]) => {
    const at = path === '' ? key : `${path}.${key}`
    const there = (kept as Record<string, unknown> | null | undefined)?.[key]
    return there === undefined ? [at] : lost(value, there, at)
  })
}

async function call<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof ApiException)) {
      const { message, cause } = error as Error & { cause?: { code?: string } }
      const why = [message, cause?.code].filter((part) => part !== undefined).join(': ')
      throw new ClusterError(`${what}: ${why}`, undefined, undefined, { cause: error })
    }
    const { code, body, headers } = error
    const seconds = Number(headers['retry-after'])
    throw new ClusterError(
      `${what}: ${code} ${messageOf(body)}`,
      code,
      seconds > 0 ? seconds * 1000 : undefined,
      { cause: error },
    )
  }
}

/** The sentence of a Status, which may come as JSON or as text. */
function messageOf(body: unknown): string {
  try {
    const status = (typeof body === 'string' ? JSON.parse(body) : body) as V1Status
    return status.message ?? status.reason ?? ''
  } catch {
    return String(body).slice(0, 500)
  }
}

async function unlessGone<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act()
  } catch (error) {
    if (error instanceof ClusterError && error.status === 404) return undefined
    throw error
  }
}

async function watch(
  config: KubeConfig,
  of: { namespace: string; labels: string; version: string },
  onEvent: (event: PodEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const request = await new Watch(config).watch(
    `/api/v1/namespaces/${of.namespace}/pods`,
    {
      labelSelector: of.labels,
      resourceVersion: of.version,
      allowWatchBookmarks: true,
      timeoutSeconds: Math.round(WATCH_SECONDS * (0.75 + Math.random() / 2)),
    },
    (type: string, object: Pod & V1Status) => {
      if (type === 'ERROR')
        reject(new ClusterError(`watch: ${object.code} ${object.message}`, object.code))
      else if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED')
        onEvent({ type, pod: object })
    },
    (error: (Error & { statusCode?: number }) | null | undefined) => {
      // Silence for half a minute is no fault: all is listed again.
      if (error === null || error === undefined || error.name === 'TimeoutError') resolve()
      else reject(new ClusterError(`watch: ${error.message}`, error.statusCode))
    },
  )
  const stop = () => {
    request.abort()
    resolve()
  }
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', stop)
    request.abort()
  }
}
