import { availableParallelism, loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * How many times longer than on an idle machine a test may wait now, at least 1: the larger of what
 * `test/run.ts` has measured before it began and what the load of the last minute says. Limits of tests
 * are for what never comes; they must not fail what only comes late.
 */
function slowness(): number {
  const measured = Number(process.env.TEST_SLOWNESS ?? 1)
  return Math.max(1, measured, (loadavg()[0] ?? 0) / availableParallelism())
}

/** A limit in ms that holds on an idle machine, as long as this machine needs it. */
export function patient(ms: number): number {
  return Math.ceil(ms * slowness())
}

/** A signal that is aborted after as long as this machine needs for `ms` on an idle one. */
export function timeLimit(ms: number): AbortSignal {
  return AbortSignal.timeout(patient(ms))
}

/** The longest pause between two looks at a condition that holds late, ms: looking costs core time. */
const SELDOM_MS = 100

/**
 * Waits until it holds. What takes `ms` on an idle machine may take longer here: the load is looked at
 * again before giving up. The longer it has waited, the less often it looks.
 * @returns what `holds` returned: a value that is not falsy
 * @throws Error with the condition when it does not hold in time.
 */
export async function until<T>(
  holds: () => T | Promise<T>,
  ms = 60_000,
  pollMs = 20,
): Promise<Truthy<T>> {
  const began = performance.now()
  for (;;) {
    const found = await holds()
    if (found) return found as Truthy<T>
    const waited = performance.now() - began
    if (waited > patient(ms))
      throw new Error(`waited ${Math.round(waited)} ms in vain: ${holds}`)
    await sleep(Math.max(pollMs, Math.min(SELDOM_MS, waited / 20)))
  }
}

/**
 * Waits for what must not come, e.g. a second delivery: it has `ms` to show. A machine on which it would come later lets
 * the fault pass, and fails nothing that is right.
 */
export function lull(ms: number): Promise<void> {
  return sleep(ms)
}

type Truthy<T> = Exclude<T, undefined | null | false | 0 | ''>
