import { randomUUID } from 'node:crypto'
import { PermanentError, type VerdictCode } from '../contracts/errors/chain.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { StoreDriver } from '../store/driver/driver.ts'

/** Work that was stopped at the hard limit this many times is given up: it would be stopped every time. */
export const MAX_STOPS = 3
/** Work that did nothing at all for a whole hard limit this many times is given up: it waits for what never comes. */
export const MAX_IDLE_STOPS = 2
/** Work that was running this many times when its process blocked, or ran out of memory, is taken to be the cause. */
export const MAX_STANDSTILLS = 2

/**
 * Why work was stopped. `over`: at the hard limit, and it had that time to itself. `idle`: likewise, but it had done
 * nothing in that time. `still`: its process was ended because the event loop stood still, probably in its code.
 * `held`: likewise, and each of several samples found its code running. `full`: its process was ended because the
 * memory was nearly used up, probably by its code.
 */
export type Stop = 'over' | 'idle' | 'still' | 'held' | 'full'
/** The number of stops of each kind. */
export type Stops = Readonly<Record<Stop, number>>

/** No stops. */
export const NONE: Stops = { over: 0, idle: 0, still: 0, held: 0, full: 0 }

/** The name of the object in scratch that records a stop. @param folder That of the work, with a trailing slash. */
export function stopName(folder: string, stop: Stop): ObjectName {
  return `${folder}${stop}-${randomUUID()}` as ObjectName
}

/**
 * Counts the stops in a folder of scratch, by the folders that they lie in. The number of deliveries cannot be used
 * instead: most repeated deliveries died with their node.
 */
export async function countStops(
  scratch: StoreDriver,
  folder: string,
  signal: AbortSignal,
): Promise<Map<string, Stops>> {
  const counts = new Map<string, Stops>()
  for await (const { name } of scratch.list(folder, { signal })) {
    const end = name.lastIndexOf('/') + 1
    const [, stop] = /^(over|idle|still|held|full)-/.exec(name.slice(end)) ?? []
    if (stop === undefined) continue
    const of = name.slice(0, end)
    const count = counts.get(of) ?? NONE
    counts.set(of, { ...count, [stop]: count[stop as Stop] + 1 })
  }
  return counts
}

/**
 * The verdict on work that was stopped this often; undefined if it may be tried again.
 * @param code the code of the verdict. Default: OVER_BUDGET, or STANDS_STILL of work that did nothing
 */
export function verdictOn(
  what: string,
  { over, idle, still, held, full }: Stops = NONE,
  code?: VerdictCode,
): PermanentError | undefined {
  const overBudget = code ?? 'OVER_BUDGET'
  if (held > 0) {
    const so = `${what} let the event loop stand still until its process was ended, and at each look its code was running`
    return new PermanentError(overBudget, so)
  }
  if (still >= MAX_STANDSTILLS) {
    const so = `${what} let the event loop stand still until its process was ended, ${still} times`
    return new PermanentError(overBudget, so)
  }
  if (full >= MAX_STANDSTILLS) {
    const so = `${what} used up the memory of its process, which was ended, ${full} times`
    return new PermanentError(overBudget, so)
  }
  const isIdle = idle > over
  const stopped = over + idle
  if (stopped < (isIdle ? MAX_IDLE_STOPS : MAX_STOPS)) return undefined
  const so = `${what} was stopped at the hard limit ${stopped} times`
  if (!isIdle) return new PermanentError(overBudget, so)
  const idly = `${so}, ${idle} of them without computing or waiting for a store or a core`
  return new PermanentError(code ?? 'STANDS_STILL', idly)
}
