import { randomUUID } from 'node:crypto'
import { PermanentError } from '../contracts/errors/chain.ts'
import type { ObjectName } from '../contracts/names.ts'
import type { StoreDriver } from '../store/driver/driver.ts'

/** Work that is stopped at the hard limit so often will be stopped every time. */
export const MAX_STOPS = 3
/** Work that so often has done nothing at all for a whole hard limit waits for what never comes. */
export const MAX_IDLE_STOPS = 2
/** Work that may have let the event loop stand still so often has; likewise of what its process ran out of memory by. */
export const MAX_STANDSTILLS = 2

/**
 * `over`: it was stopped at the hard limit, having had that time to itself. `idle`: likewise, having done nothing with
 * it. `still`: its process was ended, because the event loop stood still, probably in its code. `held`: likewise, and
 * each of several looks has found its code running. `full`: its process was ended, because its memory was nearly used
 * up, probably by its code.
 */
export type Stop = 'over' | 'idle' | 'still' | 'held' | 'full'
export type Stops = Readonly<Record<Stop, number>>

export const NONE: Stops = { over: 0, idle: 0, still: 0, held: 0, full: 0 }

/** What is left in scratch for a stop. @param folder of the work, with a slash at its end */
export function stopName(folder: string, stop: Stop): ObjectName {
  return `${folder}${stop}-${randomUUID()}` as ObjectName
}

/**
 * The stops in a folder of scratch, by the folders below it in which they are counted. Deliveries do not tell: most of
 * those that are repeated died with their node.
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

/** The verdict that so many stops amount to, if they do. */
export function verdictOn(
  what: string,
  { over, idle, still, held, full }: Stops = NONE,
): PermanentError | undefined {
  if (held > 0) {
    const so = `${what} let the event loop stand still until its process was ended, and at each look its code was running`
    return new PermanentError('OVER_BUDGET', so)
  }
  if (still >= MAX_STANDSTILLS) {
    const so = `${what} let the event loop stand still until its process was ended, ${still} times`
    return new PermanentError('OVER_BUDGET', so)
  }
  if (full >= MAX_STANDSTILLS) {
    const so = `${what} used up the memory of its process, which was ended, ${full} times`
    return new PermanentError('OVER_BUDGET', so)
  }
  const isIdle = idle > over
  const stopped = over + idle
  if (stopped < (isIdle ? MAX_IDLE_STOPS : MAX_STOPS)) return undefined
  const so = `${what} was stopped at the hard limit ${stopped} times`
  if (!isIdle) return new PermanentError('OVER_BUDGET', so)
  const idly = `${so}, ${idle} of them without computing or waiting for a store or a core`
  return new PermanentError('STANDS_STILL', idly)
}
