import { AsyncLocalStorage } from 'node:async_hooks'
import type { OwnTime } from './own-time.ts'

/** Work that can be blamed for what code in its asynchronous context does. */
interface Work {
  /** The name for people: a step, or a unit such as `spin@1 0-441000`. */
  readonly what: string
  /** The folder in scratch in which its stops are counted. Default: they are not counted. */
  readonly stops?: string
  /** Counts the core time of its child processes and threads. */
  readonly own?: OwnTime
}

interface Entry extends Work {
  /** Rejects with the first error that was not caught. */
  readonly faulted: Promise<never>
  readonly fail: (error: unknown) => void
  readonly isUnit: boolean
  isOver: boolean
}

const storage = new AsyncLocalStorage<Entry>()
const entered = new Set<Entry>()
let onChange: ((latest: Work | undefined) => void) | undefined

/** The work whose code is running; undefined if it is the code of none. */
export function underway(): Work | undefined {
  return storage.getStore()
}

/**
 * Runs `act` as work of its own.
 * @param isUnit Whether errors after its end are its own as well. If not, they belong to something that outlives it,
 * e.g. a connection that a step has opened for all.
 */
export async function during<T>(
  work: Work,
  { isUnit }: { readonly isUnit: boolean },
  act: () => Promise<T>,
): Promise<T> {
  const { promise: faulted, reject: fail } = Promise.withResolvers<never>()
  faulted.catch(() => {})
  const entry: Entry = { ...work, faulted, fail, isUnit, isOver: false }
  entered.add(entry)
  onChange?.(entry)
  try {
    return await storage.run(entry, act)
  } finally {
    entry.isOver = true
    entered.delete(entry)
    onChange?.([...entered].at(-1))
  }
}

/**
 * Settles as the promise does, unless an error that is not caught is thrown before in the asynchronous context of this
 * work, e.g. in a timer or by a promise that is not awaited. @throws that error.
 */
export function orFault<T>(promise: Promise<T>): Promise<T> {
  const entry = storage.getStore()
  return entry === undefined ? promise : Promise.race([promise, entry.faulted])
}

/**
 * Attributes an error that was not caught to the work in whose context it was thrown: see `orFault`.
 * @returns that work; undefined if it is unknown.
 */
export function blame(error: unknown): Work | undefined {
  const entry = storage.getStore()
  if (entry === undefined || (entry.isOver && !entry.isUnit)) return undefined
  entry.fail(error)
  return entry
}

/** Runs `act` outside of any work, for what outlives a step. */
export function asNobody<T>(act: () => T): T {
  return storage.exit(act)
}

/** Calls `listener` with the work that was entered last and is not over, whenever that changes. */
export function onEntered(listener: (latest: Work | undefined) => void): void {
  onChange = listener
}

/** The global symbol of a function with which a debugger asks for the running work: JSON of `Blamed`, or `null`. */
export const BLAMED = 'trackchain.underway'

/** The work to blame for a stop, and the folder in scratch in which its stops are counted. */
export interface Blamed {
  readonly what: string
  readonly stops?: string
}

/** The part of a work that goes into a log line and a stop. */
export function blamedOf({ what, stops }: Work): Blamed {
  return stops === undefined ? { what } : { what, stops }
}

Object.defineProperty(globalThis, Symbol.for(BLAMED), {
  value: () => {
    const entry = storage.getStore()
    return JSON.stringify(entry === undefined ? null : blamedOf(entry))
  },
})
