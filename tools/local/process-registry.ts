import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

import { eventually } from './eventually.ts'

/** A process, identified beyond its number, which a later process may get. */
interface Mark {
  readonly name: string
  readonly pid: number
  readonly born: string
}

/** The list of a chain's processes, kept in a file so that the next chain finds those that a crash left behind. */
export interface Roll {
  add(name: string, pid: number): void
  remove(pid: number): void
}

/**
 * How long a leftover process may take to exit by itself, ms. It has lost its supervisor, and exits because of that.
 */
const GRACE_MS = 2_000

/** Opens the list. `fault` is called with a sentence when it can't be written, and when it can again. */
export function openRoll(path: string, fault?: (sentence: string) => void): Roll {
  const marks = new Map<number, Mark>()
  const { save } = eventually(
    'the list of processes',
    () => {
      writeFileSync(`${path}.new`, JSON.stringify([...marks.values()]))
      renameSync(`${path}.new`, path)
    },
    fault,
  )
  return {
    add(name, pid) {
      marks.set(pid, { name, pid, born: birth(pid) ?? '' })
      save()
    },
    remove(pid) {
      marks.delete(pid)
      save()
    },
  }
}

/** Ends the processes that an earlier chain left running. @returns the names of those that had to be killed. */
export async function endLeftovers(path: string): Promise<string[]> {
  const killed: string[] = []
  const deadline = performance.now() + GRACE_MS
  for (const mark of readRoll(path)) {
    while (isAlive(mark) && performance.now() < deadline) await sleep(50)
    if (!isAlive(mark)) continue
    killed.push(mark.name)
    process.kill(mark.pid, 'SIGKILL')
    while (isAlive(mark)) await sleep(20)
  }
  rmSync(path, { force: true })
  return killed
}

function readRoll(path: string): Mark[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Mark[]
  } catch {
    return []
  }
}

function isAlive({ pid, born }: Mark): boolean {
  return born !== '' && birth(pid) === born
}

/**
 * The start time of a process in the system's own format; undefined when it is gone, also one that was not yet reaped by
 * its parent.
 */
function birth(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux') {
      const ps = ['-o', 'lstart=', '-p', String(pid)]
      return execFileSync('ps', ps, { encoding: 'utf8' }).trim() || undefined
    }
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The fields follow the name, which is in brackets and may hold anything: the state, …, the start in ticks.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}
