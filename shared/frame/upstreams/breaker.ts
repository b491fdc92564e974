import { setTimeout as sleep } from 'node:timers/promises'
import type { Subscriber } from '../../bus/bus.ts'
import { sentence } from '../../contracts/errors/chain.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Faults of one kind of operation in a row, none of which went well between: then looking is not believed. */
const MAX_IN_A_ROW = 5
/** How long a look may take, ms. */
const LOOK_MS = 5_000
/** From one look to the next: at first and, doubled each time, at most, ms. */
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000
/** What was at fault is in doubt for so long, ms. */
const DOUBT_MS = 60_000

/** A look at an upstream. @throws when it is not well. */
type Look = (signal: AbortSignal) => Promise<unknown>

export interface Operation {
  readonly look: Look
  /** What goes well of one kind says nothing of another: a full disk can be read. */
  readonly kind?: string
  /** After so long without an answer it has failed, ms, whatever comes of it. Absent: it has limits of its own. */
  readonly limitMs?: number
  /** When this has aborted, a failure is no fault. */
  readonly signal?: AbortSignal | undefined
  /** Whether an error is an answer, and no fault. */
  readonly isAnswer?: (error: unknown) => boolean
}

interface BreakerOptions {
  readonly log: Log
  readonly metrics: Pick<Metrics, 'upstreamsDown'>
  /** Nothing is resumed after this. */
  readonly stopping: AbortSignal
}

/**
 * Stops a service from pulling what it could only give back: while one of its upstreams is down, its subscribers
 * are paused and it is not ready. After a fault the upstream is looked at. If that fails too it is down, and
 * looked at until it answers. Where looking finds nothing but nothing goes well either, real work is tried
 * now and then.
 */
export class Breaker {
  readonly #options: BreakerOptions
  readonly #upstreams: Upstream[] = []
  readonly #guarded: Subscriber[] = []

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** One more upstream, which is taken to be well. */
  upstream(name: string): Upstream {
    this.#options.metrics.upstreamsDown.add(0, { upstream: name })
    const made = new Upstream(name, this.#options, () => this.#changed())
    this.#upstreams.push(made)
    return made
  }

  /** Pauses the subscriber whenever an upstream is down. */
  guard(subscriber: Subscriber): Subscriber {
    this.#guarded.push(subscriber)
    if (this.reason !== undefined) subscriber.pause()
    return subscriber
  }

  /** Which upstream is down, and why; undefined when all are well. */
  get reason(): string | undefined {
    return this.#upstreams.find(({ reason }) => reason !== undefined)?.reason
  }

  /**
   * Whether a failure may be an upstream's: one is down, or has been until a minute ago. A look that is under
   * way is waited for.
   */
  async inDoubt(): Promise<boolean> {
    await Promise.all(this.#upstreams.map(({ looked }) => looked))
    return this.#upstreams.some(({ isDoubtful }) => isDoubtful)
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

/** Something that the steps of a service need: a store, the database, Pub/Sub. */
export class Upstream {
  /** Why it is down, after its name. */
  reason: string | undefined
  /** Resolves when the first look after the latest fault is over. */
  looked: Promise<void> = Promise.resolve()
  readonly #name: string
  readonly #options: BreakerOptions
  readonly #changed: () => void
  readonly #faults = new Map<string, { readonly inARow: number; readonly at: number }>()
  #isWatched = false
  #looking: Promise<string | undefined> | undefined
  #waitMs = FIRST_WAIT_MS
  #upAt = Number.NEGATIVE_INFINITY

  constructor(name: string, options: BreakerOptions, changed: () => void) {
    this.#name = name
    this.#options = options
    this.#changed = changed
  }

  get isDoubtful(): boolean {
    return this.reason !== undefined || isRecent(this.#upAt)
  }

  /** Does something with the upstream. @throws what `act` throws; Error after `limitMs`. */
  async call<T>(act: () => Promise<T>, operation: Operation): Promise<T> {
    const { limitMs } = operation
    const began = performance.now()
    try {
      const result = await (limitMs === undefined ? act() : this.#within(limitMs, act))
      this.succeeded(operation)
      return result
    } catch (error) {
      this.failed(error, operation, began)
      throw error
    }
  }

  succeeded({ kind = '' }: Pick<Operation, 'kind'>): void {
    this.#faults.delete(kind)
  }

  /** `began`: of the operation, by `performance.now()`. */
  failed(error: unknown, operation: Operation, began = performance.now()): void {
    const { look, kind = '', signal, limitMs = Number.POSITIVE_INFINITY, isAnswer } = operation
    // What was cut short may have been hanging.
    const wasCut = signal?.aborted === true && performance.now() - began < limitMs / 2
    if (wasCut || isAnswer?.(error) === true) return
    const before = this.#faults.get(kind)
    const inARow = before !== undefined && isRecent(before.at) ? before.inARow + 1 : 1
    this.#faults.set(kind, { inARow, at: performance.now() })
    if (this.#isWatched) return
    this.#isWatched = true
    const first = inARow < MAX_IN_A_ROW ? this.#look(look) : Promise.resolve('none goes well')
    this.looked = first.then((fault) => {
      if (fault !== undefined) void this.#waitFor(look, kind, error)
      else this.#isWatched = false
    })
  }

  async #waitFor(look: Look, kind: string, error: unknown): Promise<void> {
    const { log, metrics, stopping } = this.#options
    const upstream = { upstream: this.#name }
    this.reason = `${this.#name}: ${sentence(error)}`
    log.warn({ ...upstream, error: sentence(error) }, 'an upstream is down: pulling is paused')
    metrics.upstreamsDown.add(1, upstream)
    this.#changed()
    if (!isRecent(this.#upAt)) this.#waitMs = FIRST_WAIT_MS
    for (let fault: string | undefined = ''; fault !== undefined && !stopping.aborted; ) {
      await sleep(this.#waitMs * (0.5 + Math.random() / 2), undefined, { ref: false })
      this.#waitMs = longerWait(this.#waitMs)
      fault = await this.#look(look)
      if (fault !== undefined) this.reason = `${this.#name}: ${fault}`
    }
    this.reason = undefined
    this.#isWatched = false
    this.#upAt = performance.now()
    // On trial: one more fault will do.
    this.#faults.set(kind, { inARow: MAX_IN_A_ROW - 1, at: this.#upAt })
    metrics.upstreamsDown.add(-1, upstream)
    log.info(upstream, 'the upstream answers again')
    this.#changed()
  }

  /** What is wrong, if anything. A look that hangs is not repeated: each may hold a thread. */
  async #look(look: Look): Promise<string | undefined> {
    this.#looking ??= (async () => look(AbortSignal.timeout(LOOK_MS)))()
      .then(() => undefined, sentence)
      .finally(() => {
        this.#looking = undefined
      })
    const late = sleep(LOOK_MS, `no answer in ${LOOK_MS / 1000} s`, { ref: false })
    return Promise.race([this.#looking, late])
  }

  async #within<T>(ms: number, act: () => Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(silence(this.#name, ms)), ms)
    try {
      return await Promise.race([act(), promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

/** From one look to the next, ms: twice as long as before, up to a quarter of a minute. */
export function longerWait(ms: number): number {
  return Math.min(2 * ms, LONGEST_WAIT_MS)
}

/** The fault of an upstream that does not answer. */
export function silence(name: string, ms: number): Error {
  return new Error(`${name} has not answered for ${ms / 1000} s`)
}

function isRecent(at: number): boolean {
  return performance.now() - at < DOUBT_MS
}
