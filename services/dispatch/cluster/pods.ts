import { EventEmitter, once } from 'node:events'
import { backOff } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/chain.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { type Cluster, ClusterError, type Pod, type PodEvent } from './cluster.ts'
import { isEnded } from './pod-spec.ts'

/** Somebody has made or freed room. No pod is called so. */
const ANY = '*'
/** A list comes after each watch; between two of them at least so long, ms. */
const PAUSE_MS = 200

interface Known {
  readonly pod: Pod
  /** When its creation was answered, by the clock of `performance`; 0 for what the API told by itself. */
  readonly createdAt: number
}

/**
 * What is known of a route's pods: listed, then watched, then listed again. Whoever waits for a change looks again
 * when there is one, whatever it was: so a lost or repeated event does no harm.
 */
export class Pods {
  readonly #cluster: Cluster
  readonly #labels: string
  readonly #most: number
  readonly #log: Log
  readonly #known = new Map<string, Known>()
  /** Names that are being minted, and have room set aside. */
  readonly #reserved = new Set<string>()
  readonly #attended = new Map<string, number>()
  readonly #news = new EventEmitter().setMaxListeners(0)
  readonly #first = Promise.withResolvers<void>()

  /** @param labels the selector of the route's pods @param most that may be there at once, unless ended */
  constructor(cluster: Cluster, labels: string, most: number, log: Log) {
    this.#cluster = cluster
    this.#labels = labels
    this.#most = most
    this.#log = log
  }

  /** Resolves once the pods have been listed: before that nothing may be minted. */
  get listed(): Promise<void> {
    return this.#first.promise
  }

  get(name: string): Pod | undefined {
    return this.#known.get(name)?.pod
  }

  all(): Pod[] {
    return [...this.#known.values()].map(({ pod }) => pod)
  }

  /** Whether a delivery of this process waits for the pod. */
  isAttended(name: string): boolean {
    return this.#attended.has(name)
  }

  /** Does something that waits for a pod: meanwhile nobody collects it. */
  async attending<T>(name: string, act: () => Promise<T>): Promise<T> {
    this.#attended.set(name, (this.#attended.get(name) ?? 0) + 1)
    try {
      return await act()
    } finally {
      const left = (this.#attended.get(name) ?? 1) - 1
      if (left > 0) this.#attended.set(name, left)
      else this.#attended.delete(name)
    }
  }

  /** Resolves at the next change of the pod. @throws the signal's reason. */
  async changed(name: string, signal: AbortSignal): Promise<void> {
    try {
      await once(this.#news, name, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }

  /**
   * Mints a pod as soon as there is room for one more, and knows it from then on.
   * @throws what `mint` throws; the signal's reason.
   */
  async mint(name: string, signal: AbortSignal, mint: () => Promise<Pod>): Promise<void> {
    while (!this.#hasRoom(name)) await this.changed(ANY, signal)
    this.#reserved.add(name)
    try {
      const pod = await mint()
      this.#known.set(name, { pod, createdAt: performance.now() })
    } finally {
      this.#reserved.delete(name)
      this.#tell(name)
    }
  }

  /** Takes note of a pod that was looked at by itself. */
  note(pod: Pod): void {
    const name = pod.metadata?.name ?? ''
    this.#known.set(name, { pod, createdAt: performance.now() })
    this.#tell(name)
  }

  /** Takes note that the pod is no more. */
  forget(pod: Pod): void {
    const { name = '', uid } = pod.metadata ?? {}
    if (this.get(name)?.metadata?.uid !== uid) return
    this.#known.delete(name)
    this.#tell(name)
  }

  /** Follows the pods until the signal aborts. Never throws. */
  async follow(signal: AbortSignal): Promise<void> {
    const pause = backOff({ firstMs: PAUSE_MS })
    while (!signal.aborted) {
      try {
        const asked = performance.now()
        const { pods, version } = await this.#cluster.list(this.#labels)
        this.#replace(pods, asked)
        this.#first.resolve()
        pause.reset()
        await this.#cluster.watch(this.#labels, version, (event) => this.#see(event), signal)
      } catch (error) {
        if (signal.aborted) return
        const isStale = error instanceof ClusterError && error.status === 410
        if (!isStale) this.#log.warn({ error: sentence(error) }, 'the pods cannot be watched')
      }
      await pause.wait(signal).catch(() => {})
    }
  }

  #hasRoom(name: string): boolean {
    if (this.#reserved.has(name)) return true
    let live = 0
    for (const [known, { pod }] of this.#known) {
      if (!isEnded(pod) && !this.#reserved.has(known)) live++
    }
    return live + this.#reserved.size < this.#most
  }

  #see({ type, pod }: PodEvent): void {
    const name = pod.metadata?.name ?? ''
    const before = this.#known.get(name)
    const isOther = before !== undefined && before.pod.metadata?.uid !== pod.metadata?.uid
    // Late news of one that had the name before.
    if (isOther && before.createdAt > 0) return
    if (type === 'DELETED') {
      if (!isOther) this.#known.delete(name)
    } else this.#known.set(name, { pod, createdAt: 0 })
    this.#tell(name)
  }

  #replace(pods: readonly Pod[], asked: number): void {
    const listed = new Map(pods.map((pod) => [pod.metadata?.name ?? '', pod]))
    for (const [name, { createdAt }] of this.#known) {
      // Created since the list was asked for: it may not have it.
      if (listed.has(name) || createdAt > asked) continue
      this.#known.delete(name)
      this.#tell(name)
    }
    for (const [name, pod] of listed) {
      if ((this.#known.get(name)?.createdAt ?? 0) > asked) continue
      this.#known.set(name, { pod, createdAt: 0 })
      this.#tell(name)
    }
  }

  #tell(name: string): void {
    this.#news.emit(name)
    this.#news.emit(ANY)
  }
}
