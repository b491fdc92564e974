import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename } from 'node:path'

/** What a thread or process has had of the cores, ms. */
export interface Scheduled {
  /** On a core. */
  readonly coreMs: number
  /** Ready to run, without a core. */
  readonly waitedMs: number
}

/** Of a thread, by its path below /proc. Undefined where the system does not say: other than Linux, or it has ended. */
export function scheduledThread(path: string): Scheduled | undefined {
  try {
    const [ran, waited] = readFileSync(`/proc/${path}/schedstat`, 'latin1').split(' ')
    const [coreMs, waitedMs] = [Number(ran) / 1e6, Number(waited) / 1e6]
    return coreMs >= 0 && waitedMs >= 0 ? { coreMs, waitedMs } : undefined
  } catch {
    return undefined
  }
}

/** The number that the system has given to this thread; 0 where it does not say. */
export function ownThread(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return 0
  }
}

/** Whether the system says what a thread has had of the cores. */
export function isTold(): boolean {
  told ??= scheduledThread('self') !== undefined
  return told
}

let told: boolean | undefined

/** Of a process: the core time of all its threads, and the wait of the one that has waited longest. */
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
