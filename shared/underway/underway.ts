import { AsyncLocalStorage } from 'node:async_hooks'
import type { OwnTime } from './own-time.ts'

/** Work that can be blamed for what its code does, wherever in its asynchronous context that happens. */
interface Work {
  /** As a person would name it: a step, or a unit such as `spin@1 0-441000`. */
  readonly what: string
  /** The folder in scratch where its stops are counted; without one they are not. */
  readonly stops?: string
  /** Where its children and threads are counted. */
  readonly own?: OwnTime
}

interface Entry extends Work {
  /** Rejects with what nobody has caught. */
  readonly faulted: Promise<never>
  readonly fail: (error: unknown) => void
  readonly isUnit: boolean
  isOver: boolean
}

const storage = new AsyncLocalStorage<Entry>()
const entered = new Set<Entry>()
let onChange: ((latest: Work | undefined) => void) | undefined

/** The work whose code runs now. */
export function underway(): Work | undefined {
  return storage.getStore()
}

/**
 * Does something as work of its own.
 * @param isUnit whether faults that come after its end are its own, too, rather than of something that outlives it: a
 * connection, say, that a step has opened for all
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
 * What the promise gives, unless something is thrown before in the asynchronous context of this work that nobody
 * catches: in a timer, say, or by a promise that nobody waits for. @throws that.
 */
export function orFault<T>(promise: Promise<T>): Promise<T> {
  const entry = storage.getStore()
  return entry === undefined ? promise : Promise.race([promise, entry.faulted])
}

/**
 * Puts down what nobody has caught to the work in whose context it was thrown: see `orFault`.
 * @returns whose it was; undefined when that cannot be told.
 */
export function blame(error: unknown): Work | undefined {
  const entry = storage.getStore()
  if (entry === undefined || (entry.isOver && !entry.isUnit)) return undefined
  entry.fail(error)
  return entry
}

/** Does something as nobody's work: what outlives a step. */
export function asNobody<T>(act: () => T): T {
  return storage.exit(act)
}

/** Tells of the work that was entered last and is not over, whenever that changes. */
export function onEntered(tell: (latest: Work | undefined) => void): void {
  onChange = tell
}

/** Where a debugger finds what was blamed: JSON of `Blamed`, or `null`. */
export const BLAMED = 'trackchain.underway'

/** Whose stop it was, and where it is counted. */
export interface Blamed {
  readonly what: string
  readonly stops?: string
}

export function blamedOf({ what, stops }: Work): Blamed {
  return stops === undefined ? { what } : { what, stops }
}

Object.defineProperty(globalThis, Symbol.for(BLAMED), {
  value: () => {
    const entry = storage.getStore()
    return JSON.stringify(entry === undefined ? null : blamedOf(entry))
  },
})
