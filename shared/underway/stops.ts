import { randomUUID } from 'node:crypto'
import { PermanentError } from '../errors.ts'
import type { ObjectName } from '../names.ts'
import type { StoreDriver } from '../store/driver.ts'

/** Work that is stopped at the hard limit so often will be stopped every time. */
export const MOST_STOPS = 3
/** Work that so often let the event loop stand still for a whole hard limit will do it every time. */
export const MOST_STANDSTILLS = 2

/**
 * `over`: it was stopped at the hard limit, having had that time to itself. `still`: its process was ended, because the
 * event loop stood still in its code.
 */
export type Stop = 'over' | 'still'

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
): Promise<Map<string, Record<Stop, number>>> {
  const counts = new Map<string, Record<Stop, number>>()
  for await (const { name } of scratch.list(folder, { signal })) {
    const end = name.lastIndexOf('/') + 1
    const [, stop] = /^(over|still)-/.exec(name.slice(end)) ?? []
    if (stop === undefined) continue
    const of = name.slice(0, end)
    const count = counts.get(of) ?? { over: 0, still: 0 }
    count[stop as Stop]++
    counts.set(of, count)
  }
  return counts
}

/** The verdict that so many stops amount to, if they do. */
export function verdictOn(
  what: string,
  { over, still }: Record<Stop, number> = { over: 0, still: 0 },
): PermanentError | undefined {
  const words = [
    ...(over >= MOST_STOPS ? [`was stopped at the hard limit ${over} times`] : []),
    ...(still >= MOST_STANDSTILLS
      ? [`let the event loop stand still until its process was ended, ${still} times`]
      : []),
  ]
  if (words.length === 0) return undefined
  return new PermanentError('OVER_BUDGET', `${what} ${words.join(', and ')}`)
}
