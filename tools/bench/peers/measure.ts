import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { coresOf } from '../../local/process-usage.ts'
import type { RunningChain } from './chains.ts'

/** What a chain took for a number of jobs. */
export interface Measured {
  readonly jobsPerMinute: number
  /** Core-milliseconds for each job, by process. */
  readonly coreMs: Readonly<Record<string, number>>
}

/** Jobs that are added at once. */
const WAVE = 500
/** How often is looked whether all jobs are out, ms. */
const LOOK_MS = 10
/** The longest that a run may take, ms. */
const PATIENCE_MS = 600_000

/**
 * Sends jobs through a chain: from the moment the first is added till the last has come out.
 * @throws when they do not all come out, or were not all recorded
 */
export async function measured(
  chain: RunningChain,
  count: number,
  { master, prefix }: { readonly master: string; readonly prefix: string },
): Promise<Measured> {
  const [outBefore, recordedBefore] = [chain.out(), await chain.recorded()]
  const before = await coresOf(chain.pids())
  const start = performance.now()
  for (let sent = 0; sent < count; sent += WAVE) {
    const wave = Array.from({ length: Math.min(WAVE, count - sent) }, (_, index) => ({
      request_id: randomUUID(),
      asset_guid: `${prefix}-${sent + index}`,
      derivative_assets: ['nothing-analyzed', 'nothing-encoded'],
      master_uri: pathToFileURL(master).href,
    }))
    await chain.submit(wave)
  }
  while (chain.out() < outBefore + count) {
    if (performance.now() - start > PATIENCE_MS)
      throw new Error(`only ${chain.out() - outBefore} of ${count} jobs came out`)
    await sleep(LOOK_MS)
  }
  const minutes = (performance.now() - start) / 60_000
  const after = await coresOf(chain.pids())
  const recorded = await chain.recorded()
  if (recorded !== undefined && recorded - (recordedBefore ?? 0) !== count)
    throw new Error(`${recorded} are recorded, of ${count}`)
  const spent = Object.entries(after).map(
    ([name, ms]) => [name, (ms - (before[name] ?? 0)) / count] as const,
  )
  return { jobsPerMinute: count / minutes, coreMs: Object.fromEntries(spent) }
}
