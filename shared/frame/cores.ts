import { availableParallelism } from 'node:os'
import { BUDGET_MS, STAGE_SPECS, type Stage } from '../contracts/stages.ts'

/** The number of cores of this machine. One step runs on a core at a time, because plans count on a whole core. */
export const CORES = availableParallelism()

/** The default number of steps of a stage that this process has under way at once. */
export function stepsAtOnce(stage: Stage): number {
  return CORES * STAGE_SPECS[stage].stepsPerCore
}

/** Cores for steps that need a whole core each. */
export interface Cores {
  /**
   * Waits for a free core. The returned function gives the core back.
   * @param isBegun Whether the work has begun before: it goes first, so that what is begun is finished. Among its like:
   * first come, first served. Default: false.
   * @throws the signal's reason when it aborts first.
   */
  take(signal: AbortSignal, isBegun?: boolean): Promise<() => void>
  /** Takes a core if one is free; otherwise returns undefined. */
  tryTake(): Promise<(() => void) | undefined>
}

/** A fixed number of cores for this process. Default: all cores of the machine. */
export class OwnCores implements Cores {
  #free: number
  readonly #begun: (() => void)[] = []
  readonly #waiting: (() => void)[] = []

  constructor(places = CORES) {
    this.#free = places
  }

  async tryTake(): Promise<(() => void) | undefined> {
    return this.#free > 0 ? this.#taken() : undefined
  }

  async take(signal: AbortSignal, isBegun = false): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) return this.#taken()
    const queue = isBegun ? this.#begun : this.#waiting
    return new Promise((resolve, reject) => {
      const given = () => {
        signal.removeEventListener('abort', leave)
        resolve(this.#taken())
      }
      const leave = () => {
        queue.splice(queue.indexOf(given), 1)
        reject(signal.reason)
      }
      queue.push(given)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #taken(): () => void {
    this.#free--
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#free++
      const next = this.#begun.shift() ?? this.#waiting.shift()
      next?.()
    }
  }
}

/** A request to the parent process. `take`: wait for a core. `try`: only one that is free now. `done`: give it back. */
export interface CoreWish {
  readonly core: 'take' | 'try' | 'done'
  readonly id: number
  readonly isBegun?: boolean
}
/** The answer to the request with this id. */
export interface CoreAnswer {
  readonly core: 'lent' | 'none'
  readonly id: number
}

/**
 * How long a step may wait for its first core, ms: three budgets, since each of three services asks for all cores at
 * most.
 */
export const CORE_WAIT_MS = 3 * BUDGET_MS

/** The cores of a machine that several services share; the parent process hands them out: see `lendCores`. */
export class SharedCores implements Cores {
  /** Limits the open requests to the number of cores, so that no service keeps the others waiting for long. */
  readonly #own = new OwnCores()
  readonly #asked = new Map<number, (answer: CoreAnswer['core']) => void>()
  #last = 0

  constructor() {
    process.on('message', ({ core, id }: CoreAnswer) => {
      this.#asked.get(id)?.(core)
      this.#asked.delete(id)
    })
  }

  async take(signal: AbortSignal, isBegun = false): Promise<() => void> {
    const leave = await this.#own.take(signal, isBegun)
    return this.#ask({ core: 'take', isBegun }, leave, signal)
  }

  async tryTake(): Promise<(() => void) | undefined> {
    const leave = await this.#own.tryTake()
    if (leave === undefined) return undefined
    return this.#ask({ core: 'try' }, leave).catch(() => undefined)
  }

  async #ask(
    wish: Omit<CoreWish, 'id'>,
    leave: () => void,
    signal?: AbortSignal,
  ): Promise<() => void> {
    const id = ++this.#last
    const giveBack = () => {
      say({ core: 'done', id })
      leave()
    }
    const { promise, resolve, reject } = Promise.withResolvers<CoreAnswer['core']>()
    const stop = () => reject(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    try {
      this.#asked.set(id, resolve)
      say({ ...wish, id })
      if ((await promise) === 'none') throw new Error('no core is free')
      return giveBack
    } catch (error) {
      this.#asked.delete(id)
      giveBack()
      throw error
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }
}

function say(wish: CoreWish): void {
  // If the parent has gone, the process is about to end.
  if (process.connected) process.send?.(wish)
}
