import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** The scheduler statistics of a thread or process, ms. */
export interface Scheduled {
  /** The time on a core. */
  readonly coreMs: number
  /** The time in which it was ready to run but had no core. */
  readonly waitedMs: number
}

/** The statistics of a thread, by its path below /proc. Undefined on systems other than Linux, or if it has ended. */
export function scheduledThread(path: string): Scheduled | undefined {
  try {
    const [ran, waited] = readFileSync(`/proc/${path}/schedstat`, 'latin1').split(' ')
    const [coreMs, waitedMs] = [Number(ran) / 1e6, Number(waited) / 1e6]
    return coreMs >= 0 && waitedMs >= 0 ? { coreMs, waitedMs } : undefined
  } catch {
    return undefined
  }
}

/** The system's id of this thread; 0 if the system does not report it. */
export function ownThread(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return 0
  }
}

/** Whether the system has scheduler statistics of threads. */
export function hasStatistics(): boolean {
  isKnown ??= scheduledThread('self') !== undefined
  return isKnown
}

let isKnown: boolean | undefined

/** The statistics of a process: the core time of all its threads, and the wait of the thread that waited longest. */
export function scheduledProcess(pid: number): Scheduled | undefined {
  try {
    let all: Scheduled | undefined
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const one = scheduledThread(`${pid}/task/${thread}`)
      if (one === undefined) continue
      all = {
        coreMs: (all?.coreMs ?? 0) + one.coreMs,
        waitedMs: Math.max(all?.waitedMs ?? 0, one.waitedMs),
      }
    }
    return all
  } catch {
    return undefined
  }
}
