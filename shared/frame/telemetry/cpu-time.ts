import { readFileSync } from 'node:fs'

/** What children have used is looked up this often at most, ms: short steps, of which there are many, have none. */
const CHILDREN_MS = 100
/** Linux counts the time of children in these, ms. */
const TICK_MS = 10

/**
 * Core time of the steps of this process: its own, its threads' and its ended children's. Where several steps run at
 * once each is charged an equal share, because nobody knows better; their sum is exact, and so is one that runs alone.
 */
export class CoreTime {
  #running = 0
  /** What a step that had run all the time would have been charged, ms. */
  #charged = 0
  #seen = 0
  #children = childrenMs()
  #childrenAt = performance.now()

  /** A step begins. What is returned ends it, and tells the core-milliseconds that it is charged. */
  begin(): () => number {
    this.#charge()
    this.#running++
    const before = this.#charged
    return () => {
      this.#charge()
      this.#running--
      return this.#charged - before
    }
  }

  #charge(): void {
    const now = performance.now()
    if (now - this.#childrenAt > CHILDREN_MS) {
      this.#children = childrenMs()
      this.#childrenAt = now
    }
    const { user, system } = process.cpuUsage()
    const seen = (user + system) / 1000 + this.#children
    // What is used while no step runs is nobody's.
    if (this.#running > 0) this.#charged += (seen - this.#seen) / this.#running
    this.#seen = seen
  }
}

/** Core-milliseconds of the children that have ended; 0 where the system does not say. */
function childrenMs(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1')
    // Behind the name in parentheses, which may hold anything: the 14th and 15th field are cutime and cstime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[13]) + Number(fields[14])) * TICK_MS
  } catch {
    return 0
  }
}
