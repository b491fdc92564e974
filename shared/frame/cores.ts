import { availableParallelism } from 'node:os'
import { BUDGET_MS } from '../contracts/stages.ts'

/** Cores of this machine. One step at a time per core: what computes faster than its core gets slower than its plan. */
export const CORES = availableParallelism()

/** Places for work that needs a core of its own. */
export interface Cores {
  /**
   * Waits for a place; those who wait get one in their order. What it returns gives the place back.
   * @throws the signal's reason when it aborts before.
   */
  take(signal: AbortSignal): Promise<() => void>
  /** A place, if one is free. */
  tryTake(): Promise<(() => void) | undefined>
}

/** As many places as are said. */
export class OwnCores implements Cores {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(places = CORES) {
    this.#free = places
  }

  async tryTake(): Promise<(() => void) | undefined> {
    return this.#free > 0 ? this.#taken() : undefined
  }

  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    if (this.#free > 0) return this.#taken()
    return new Promise((resolve, reject) => {
      const given = () => {
        signal.removeEventListener('abort', leave)
        resolve(this.#taken())
      }
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(given), 1)
        reject(signal.reason)
      }
      this.#waiting.push(given)
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
      this.#waiting.shift()?.()
    }
  }
}

/** What a process says to the one that lends it cores: it wants one, wants one only if it is free now, or is done. */
export interface CoreWish {
  readonly core: 'take' | 'try' | 'done'
  readonly id: number
}
/** The answer to the wish of that id. */
export interface CoreAnswer {
  readonly core: 'lent' | 'none'
  readonly id: number
}

/** How long a step may wait for a core that three services want as often as there are cores, ms. */
export const CORE_WAIT_MS = 3 * BUDGET_MS

/** The cores of a machine that the parent process lends to several services: see `lendCores`. */
export class LentCores implements Cores {
  /** Never more wishes than cores are open at once, so that no service keeps the others waiting for long. */
  readonly #own = new OwnCores()
  readonly #asked = new Map<number, (answer: CoreAnswer['core']) => void>()
  #last = 0

  constructor() {
    process.on('message', ({ core, id }: CoreAnswer) => {
      this.#asked.get(id)?.(core)
      this.#asked.delete(id)
    })
  }

  async take(signal: AbortSignal): Promise<() => void> {
    const leave = await this.#own.take(signal)
    return this.#ask('take', leave, signal)
  }

  async tryTake(): Promise<(() => void) | undefined> {
    const leave = await this.#own.tryTake()
    if (leave === undefined) return undefined
    return this.#ask('try', leave).catch(() => undefined)
  }

  async #ask(
    core: 'take' | 'try',
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
      say({ core, id })
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
  // Without a parent the process is about to end.
  if (process.connected) process.send?.(wish)
}
