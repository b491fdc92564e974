import { EventEmitter, once } from 'node:events'
import { backOff } from '#shared/async/retry.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Log } from '#shared/frame/telemetry/log.ts'
import { type Cluster, ClusterError, type Pod, type PodEvent } from './cluster.ts'
import { isEnded } from './pod-spec.ts'

/** The event emitted at every change, since any change may make room. No pod has this name. */
const ANY = '*'
/** Minimum time between a watch and the next list, ms. */
const PAUSE_MS = 200

interface Known {
  readonly pod: Pod
  /** When the API confirmed its creation, ms by `performance.now()`; 0 for a pod known from a list or a watch. */
  readonly createdAt: number
}

/**
 * The known pods of a route: listed, then watched, then listed again. A waiter looks again at every change,
 * whatever it was, so that a lost or repeated event does no harm.
 */
export class Pods {
  readonly #cluster: Cluster
  readonly #labels: string
  readonly #most: number
  readonly #log: Log
  readonly #known = new Map<string, Known>()
  /** The names of pods that are being created and have room reserved. */
  readonly #reserved = new Set<string>()
  readonly #attended = new Map<string, number>()
  readonly #news = new EventEmitter().setMaxListeners(0)
  readonly #first = Promise.withResolvers<void>()

  /**
   * @param labels the label selector of the route's pods
   * @param most maximum number of pods that have not ended
   */
  constructor(cluster: Cluster, labels: string, most: number, log: Log) {
    this.#cluster = cluster
    this.#labels = labels
    this.#most = most
    this.#log = log
  }

  /** Resolves once the pods have been listed. Before that, no pod may be created. */
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

  /** Runs `act`, which waits for the pod. Meanwhile the pod is not collected. */
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

  /** Resolves at the next change of the pod. @throws the signal's reason */
  async changed(name: string, signal: AbortSignal): Promise<void> {
    try {
      await once(this.#news, name, { signal })
    } catch (error) {
      signal.throwIfAborted()
      throw error
    }
  }

  /**
   * Waits until there is room, then creates the pod and adds it to the known pods.
   * @throws what `mint` throws; the signal's reason
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

  /** Adds a pod that was read by itself. */
  note(pod: Pod): void {
    const name = pod.metadata?.name ?? ''
    this.#known.set(name, { pod, createdAt: performance.now() })
    this.#tell(name)
  }

  /** Forgets a pod that has been removed. */
  forget(pod: Pod): void {
    const { name = '', uid } = pod.metadata ?? {}
    if (this.get(name)?.metadata?.uid !== uid) return
    this.#known.delete(name)
    this.#tell(name)
  }

  /** Keeps the known pods up to date until the signal aborts. Never throws. */
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
    // A late event about an earlier pod of the same name.
    if (isOther && before.createdAt > 0) return
    if (type === 'DELETED') {
      if (!isOther) this.#known.delete(name)
    } else this.#known.set(name, { pod, createdAt: 0 })
    this.#tell(name)
  }

  #replace(pods: readonly Pod[], asked: number): void {
    const listed = new Map(pods.map((pod) => [pod.metadata?.name ?? '', pod]))
    for (const [name, { createdAt }] of this.#known) {
      // It was created after the list was requested, so the list may lack it.
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
