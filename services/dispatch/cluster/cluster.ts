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

/**
 * A pod as the Kubernetes API describes it. Its times are strings in watch events and Dates elsewhere: see
 * `timeOf`.
 */
export type Pod = V1Pod

export interface PodEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly pod: Pod
}

/** The pods of one namespace. Every call except `watch` ends within 30 s. @throws ClusterError */
export interface Cluster {
  readonly server: string
  readonly namespace: string
  /** Lists the pods with these labels, and the resource version from which a watch may start. */
  list(labels: string): Promise<{ pods: readonly Pod[]; version: string }>
  /**
   * Reports changes from that version on. Resolves when the server ends the watch, after 30 s without data, or
   * when `signal` aborts.
   */
  watch(
    labels: string,
    version: string,
    onEvent: (event: PodEvent) => void,
    signal: AbortSignal,
  ): Promise<void>
  /** @throws ClusterError 409 when a pod of that name exists */
  create(pod: Pod): Promise<Pod>
  read(name: string): Promise<Pod | undefined>
  /** Removes the pod with this uid. Resolves to false if it was gone already. `force`: do not wait for its node. */
  remove(pod: Pod, options?: { force?: boolean }): Promise<boolean>
  /** The last lines of its container's log; empty when the pod is gone. */
  lastLines(name: string, lines: number): Promise<string>
}

/** The API server refused a request, or did not answer. */
export class ClusterError extends Error {
  override readonly name = 'ClusterError'
  /** The HTTP status; undefined when there was no answer. */
  readonly status: number | undefined
  /** How long the server asks the client to wait, ms. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, status?: number, retryAfterMs?: number, options?: ErrorOptions) {
    super(message, options)
    this.status = status
    this.retryAfterMs = retryAfterMs
  }
}

/** Time limit of a call that reads or changes pods, ms. */
const CALL_MS = 30_000
/**
 * Mean duration of a watch, seconds; each lasts between 75 % and 125 % of it. After each, the pods are listed
 * again.
 */
const WATCH_SECONDS = 240

/** Opens the cluster that KUBECONFIG names or, without it, the cluster that this process runs in. */
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
            // The library's own time limit is five minutes.
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
        // Another pod has the name now.
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
 * Parses an operator's pod template.
 * @throws Error that names the fields that a Pod does not have: the library would drop them silently
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

/** The message of a Status, which may come as JSON or as text. */
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
      // 30 s without data are no error: the pods are listed again.
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
