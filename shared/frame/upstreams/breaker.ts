import { setTimeout as sleep } from 'node:timers/promises'
import { orLate } from '../../async/abort.ts'
import { backOff } from '../../async/retry.ts'
import type { Subscriber } from '../../bus/bus.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** After this many consecutive faults of one kind of operation, a successful probe is no longer trusted. */
const MAX_IN_A_ROW = 5
/** The time limit of a probe, ms. */
const PROBE_MS = 5_000
/** The waits between probes, which keep no process alive. */
const WAITS = { firstMs: 500, mostMs: 15_000, ref: false }
/** An upstream is suspect for this long after it came back, and its faults count as consecutive within it, ms. */
const SUSPECT_MS = 60_000

/** Checks whether an upstream works. @throws when it does not. */
type Probe = (signal: AbortSignal) => Promise<unknown>

/** How a breaker judges one operation on an upstream. */
export interface Operation {
  readonly probe: Probe
  /** Faults are counted for each kind: reads that succeed say nothing about writes, since a full disk can be read. */
  readonly kind?: string
  /** The operation fails after this long without an answer, ms. Default: no limit here; the caller sets its own. */
  readonly limitMs?: number
  /** Once this has aborted, a failure in less than half of `limitMs` is not counted as a fault. */
  readonly signal?: AbortSignal | undefined
  /** Whether an error is a valid answer of the upstream, and not a fault of it. Default: no error is. */
  readonly isExpected?: (error: unknown) => boolean
}

interface BreakerOptions {
  readonly log: Log
  readonly metrics: Pick<Metrics, 'upstreamsDown'>
  /** After this has aborted, no subscriber is paused or resumed. */
  readonly stopping: AbortSignal
}

/**
 * Stops a service from pulling messages that it could only give back. While one of its upstreams is down, its
 * subscribers are paused and it is not ready. After a fault the upstream is probed. If the probe fails too, the
 * upstream is down, and it is probed until it answers. If probes succeed but operations keep failing, the upstream
 * is down as well; each successful probe lets real work through, and one more fault closes it again.
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #upstreams: Upstream[] = []
  readonly #guarded: Subscriber[] = []

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** Adds an upstream, which is taken to be up. `name` is its label in the metrics and the logs. */
  upstream(name: string): Upstream {
    this.#options.metrics.upstreamsDown.add(0, { upstream: name })
    const made = new Upstream(name, this.#options, () => this.#changed())
    this.#upstreams.push(made)
    return made
  }

  /** Pauses the subscriber whenever an upstream is down, and resumes it when all are up. */
  guard(subscriber: Subscriber): Subscriber {
    this.#guarded.push(subscriber)
    if (this.reason !== undefined) subscriber.pause()
    return subscriber
  }

  /** Which upstream is down, and why; undefined when all are up. */
  get reason(): string | undefined {
    return this.#upstreams.find(({ reason }) => reason !== undefined)?.reason
  }

  /**
   * Whether a failure may be an upstream's fault: one of them is down, or was down within the last minute. Waits for
   * probes that are running.
   */
  async isSuspect(): Promise<boolean> {
    await Promise.all(this.#upstreams.map(({ probed }) => probed))
    return this.#upstreams.some(({ isSuspect }) => isSuspect)
  }

  #changed(): void {
    if (this.#options.stopping.aborted) return
    const isDown = this.reason !== undefined
    for (const subscriber of this.#guarded) {
      if (isDown) subscriber.pause()
      else subscriber.resume()
    }
  }
}

/** A system that the steps of a service need: a store, the database, Pub/Sub. */
export class Upstream {
  /** The name of the upstream, and why it is down; undefined while it is up. */
  reason: string | undefined
  /** Resolves when the first probe after the latest fault is over. */
  probed: Promise<void> = Promise.resolve()
  readonly #name: string
  readonly #options: BreakerOptions
  readonly #changed: () => void
  readonly #faults = new Map<string, { readonly inARow: number; readonly at: number }>()
  #isWatched = false
  #probing: Promise<string | undefined> | undefined
  readonly #pause = backOff(WAITS)
  #upAt = Number.NEGATIVE_INFINITY

  constructor(name: string, options: BreakerOptions, changed: () => void) {
    this.#name = name
    this.#options = options
    this.#changed = changed
  }

  /** Whether it is down, or was down within the last minute. */
  get isSuspect(): boolean {
    return this.reason !== undefined || isRecent(this.#upAt)
  }

  /** Runs an operation on the upstream and records how it ended. @throws what `act` throws; Error after `limitMs`. */
  async call<T>(act: () => Promise<T>, operation: Operation): Promise<T> {
    const { limitMs } = operation
    const began = performance.now()
    try {
      const result = await (limitMs === undefined
        ? act()
        : orLate(act(), limitMs, () => silence(this.#name, limitMs)))
      this.succeeded(operation)
      return result
    } catch (error) {
      this.failed(error, operation, began)
      throw error
    }
  }

  /** Records that an operation of this kind succeeded. */
  succeeded({ kind = '' }: Pick<Operation, 'kind'>): void {
    this.#faults.delete(kind)
  }

  /** Records that an operation failed. `began`: when it began, by `performance.now()`. Default: now. */
  failed(error: unknown, operation: Operation, began = performance.now()): void {
    const {
      probe,
      kind = '',
      signal,
      limitMs = Number.POSITIVE_INFINITY,
      isExpected,
    } = operation
    // An operation that was aborted late may have been hanging, which is a fault.
    const wasCut = signal?.aborted === true && performance.now() - began < limitMs / 2
    if (wasCut || isExpected?.(error) === true) return
    const before = this.#faults.get(kind)
    const inARow = before !== undefined && isRecent(before.at) ? before.inARow + 1 : 1
    this.#faults.set(kind, { inARow, at: performance.now() })
    if (this.#isWatched) return
    this.#isWatched = true
    const first = inARow < MAX_IN_A_ROW ? this.#probe(probe) : Promise.resolve('none goes well')
    this.probed = first.then((fault) => {
      if (fault !== undefined) void this.#waitFor(probe, kind, error)
      else this.#isWatched = false
    })
  }

  async #waitFor(probe: Probe, kind: string, error: unknown): Promise<void> {
    const { log, metrics, stopping } = this.#options
    const upstream = { upstream: this.#name }
    this.reason = `${this.#name}: ${sentence(error)}`
    log.warn({ ...upstream, error: sentence(error) }, 'an upstream is down: pulling is paused')
    metrics.upstreamsDown.add(1, upstream)
    this.#changed()
    if (!isRecent(this.#upAt)) this.#pause.reset()
    for (let fault: string | undefined = ''; fault !== undefined && !stopping.aborted; ) {
      await this.#pause.wait()
      fault = await this.#probe(probe)
      if (fault !== undefined) this.reason = `${this.#name}: ${fault}`
    }
    this.reason = undefined
    this.#isWatched = false
    this.#upAt = performance.now()
    // On trial: one more fault takes it down again.
    this.#faults.set(kind, { inARow: MAX_IN_A_ROW - 1, at: this.#upAt })
    metrics.upstreamsDown.add(-1, upstream)
    log.info(upstream, 'the upstream answers again')
    this.#changed()
  }

  /** What is wrong, or undefined. A probe that hangs is not repeated, because each may hold a thread. */
  async #probe(probe: Probe): Promise<string | undefined> {
    this.#probing ??= (async () => probe(AbortSignal.timeout(PROBE_MS)))()
      .then(() => undefined, sentence)
      .finally(() => {
        this.#probing = undefined
      })
    const late = sleep(PROBE_MS, `no answer in ${PROBE_MS / 1000} s`, { ref: false })
    return Promise.race([this.#probing, late])
  }
}

/** The error for an upstream that has not answered for `ms` milliseconds. */
export function silence(name: string, ms: number): Error {
  return new Error(`${name} has not answered for ${ms / 1000} s`)
}

function isRecent(at: number): boolean {
  return performance.now() - at < SUSPECT_MS
}
