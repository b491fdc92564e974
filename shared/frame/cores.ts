import { availableParallelism } from 'node:os'
import { DEFAULT_LANE, LANES, type Lane } from '../contracts/lanes.ts'
import { STAGE_SPECS, type Stage } from '../contracts/stages.ts'
import { Stride } from './stride.ts'

/** The number of cores of this machine. One step runs on a core at a time, because plans count on a whole core. */
export const CORES = availableParallelism()

/** The default number of steps of a stage that this process has under way at once. */
export function stepsAtOnce(stage: Stage): number {
  return CORES * STAGE_SPECS[stage].stepsPerCore
}

/** Work that asks for a core. */
export interface Claim {
  /** Default: `new`. */
  readonly lane?: Lane
  /** The place of its step in the chain. Default: 0. */
  readonly rank?: number
  /** Whether it has had a core before. Default: false. */
  readonly isBegun?: boolean
}

/**
 * How long a core that urgent work has given back is kept for the track's next step, ms: a message takes a few tens. Else
 * a lower lane would have it by then, for as long as its own step takes.
 */
const KEPT_MS = 250

/**
 * Cores for steps that need a whole core each. A core that comes free goes to a lane by its share (`Stride`); within the
 * lane to work that has begun, then to that of the later step, so that what is begun is finished; then to the first
 * that came.
 */
export interface Cores {
  /**
   * Waits for a free core. The returned function gives the core back.
   * @throws the signal's reason when it aborts first.
   */
  take(signal: AbortSignal, claim?: Claim): Promise<() => void>
}

interface Waiting extends Claim {
  readonly give: () => void
}

/** A fixed number of cores for this process. Default: all cores of the machine. */
export class OwnCores implements Cores {
  #free: number
  readonly #stride = new Stride()
  readonly #waiting: Readonly<Record<Lane, Waiting[]>> = { urgent: [], new: [], backfill: [] }
  /** While it runs, urgent work is on its way from one step to the next, and counts as waiting. */
  #kept: NodeJS.Timeout | undefined

  constructor(places = CORES) {
    this.#free = places
  }

  async take(signal: AbortSignal, claim: Claim = {}): Promise<() => void> {
    signal.throwIfAborted()
    this.#stride.join(claim.lane ?? DEFAULT_LANE, this.#wanting())
    const queue = this.#waiting[claim.lane ?? DEFAULT_LANE]
    return new Promise((resolve, reject) => {
      const give = () => {
        signal.removeEventListener('abort', leave)
        resolve(this.#taken(claim))
      }
      const waiting = { ...claim, give }
      const leave = () => {
        queue.splice(queue.indexOf(waiting), 1)
        reject(signal.reason)
      }
      const later = queue.findIndex((each) => isBefore(claim, each))
      queue.splice(later < 0 ? queue.length : later, 0, waiting)
      signal.addEventListener('abort', leave, { once: true })
      if (this.#free > 0) this.#giveNext()
    })
  }

  #taken({ lane = DEFAULT_LANE }: Claim): () => void {
    this.#free--
    const end = this.#stride.begin(lane, this.#wanting())
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#free++
      if (lane === 'urgent') this.#keep()
      end(this.#wanting())
      this.#giveNext()
    }
  }

  #giveNext(): void {
    const next = this.#stride.next(this.#wanting())
    if (next !== undefined) this.#waiting[next].shift()?.give()
  }

  #keep(): void {
    clearTimeout(this.#kept)
    this.#kept = setTimeout(() => {
      this.#kept = undefined
      for (let free = this.#free; free > 0; free--) this.#giveNext()
    }, KEPT_MS)
  }

  #wanting(): readonly Lane[] {
    return LANES.filter(
      (lane) =>
        this.#waiting[lane].length > 0 || (lane === 'urgent' && this.#kept !== undefined),
    )
  }
}

function isBefore(claim: Claim, other: Claim): boolean {
  const [begun, otherBegun] = [claim.isBegun ?? false, other.isBegun ?? false]
  if (begun !== otherBegun) return begun
  return (claim.rank ?? 0) > (other.rank ?? 0)
}

/** A request to the parent process. `take`: wait for a core. `done`: give it back. */
export interface CoreWish extends Claim {
  readonly core: 'take' | 'done'
  readonly id: number
}
/** The answer to the request with this id: it has its core. */
export interface CoreAnswer {
  readonly lent: number
}

/**
 * How long a step may wait for its first core, ms; then its message goes to the end of its queue. Many times what a lane
 * that has its share waits, and little of what a lease can be extended for.
 */
export const CORE_WAIT_MS = 10 * 60_000

/** The cores of a machine that several services share; the parent process hands them out: see `lendCores`. */
export class SharedCores implements Cores {
  readonly #asked = new Map<number, () => void>()
  #last = 0

  constructor() {
    process.on('message', ({ lent }: CoreAnswer) => {
      this.#asked.get(lent)?.()
      this.#asked.delete(lent)
    })
  }

  async take(signal: AbortSignal, claim: Claim = {}): Promise<() => void> {
    signal.throwIfAborted()
    const id = ++this.#last
    const giveBack = () => say({ core: 'done', id })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    try {
      this.#asked.set(id, resolve)
      say({ ...claim, core: 'take', id })
      await promise
      return giveBack
    } catch (error) {
      this.#asked.delete(id)
      giveBack()
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }
}

function say(wish: CoreWish): void {
  // If the parent has gone, the process is about to end. It may not have noticed yet: without a callback the failed write
  // would be thrown, and count as a fault of the unit that asked.
  if (process.connected) process.send?.(wish, undefined, undefined, () => {})
}
