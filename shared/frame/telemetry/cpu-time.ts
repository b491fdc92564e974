import { readFileSync } from 'node:fs'

/** The core time of child processes is read at most once in this time, ms: most steps are short and have none. */
const CHILDREN_MS = 100
/** The length of a clock tick in Linux's accounting, ms. It is the same in all common builds. */
export const TICK_MS = 10

/**
 * The core time of the steps of this process: of its threads and of its child processes that have ended. Steps that run
 * at the same time are charged equal shares, because the real ones are unknown. Their sum is exact, and so is the time
 * of a step that runs alone.
 */
export class CoreTime {
  #running = 0
  /** The core time that a step which had run since the beginning would have been charged, ms. */
  #charged = 0
  #seen = 0
  #children = endedChildrenMs() ?? 0
  #childrenAt = performance.now()

  /** Begins a step, which is charged until it is paused or ends. */
  begin(): Charged {
    let ms = 0
    let since: number | undefined
    let isOver = false
    const resume = () => {
      if (isOver) return
      this.#charge()
      this.#running++
      since = this.#charged
    }
    const pause = () => {
      if (since === undefined) return
      this.#charge()
      this.#running--
      ms += this.#charged - since
      since = undefined
    }
    resume()
    return {
      pause,
      resume,
      end() {
        pause()
        isOver = true
        return ms
      },
    }
  }

  #charge(): void {
    const now = performance.now()
    if (now - this.#childrenAt > CHILDREN_MS) {
      this.#children = endedChildrenMs() ?? 0
      this.#childrenAt = now
    }
    const { user, system } = process.cpuUsage()
    const seen = (user + system) / 1000 + this.#children
    // Core time that is used while no step runs is charged to none.
    if (this.#running > 0) this.#charged += (seen - this.#seen) / this.#running
    this.#seen = seen
  }
}

/** The core time that a step is charged. */
interface Charged {
  /** Stops charging the step, which waits and uses no core. */
  pause(): void
  /** Goes on charging the step. No effect after its end. */
  resume(): void
  /** Ends the step. Returns its core time, ms. */
  end(): number
}

/**
 * The core time of the child processes that have ended, and of those of their own children that they waited for, ms.
 * Undefined on systems other than Linux.
 */
export function endedChildrenMs(): number | undefined {
  try {
    const [user, system] = fieldsOf(readFileSync('/proc/self/stat', 'latin1')).slice(13, 15)
    return TICK_MS * (Number(user) + Number(system))
  } catch {
    return undefined
  }
}

/** The fields of /proc/PID/stat after the command's name, which may contain anything. Index 0 is field 3 of proc(5). */
export function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}
