import { readFile } from 'node:fs/promises'

/** The length of a clock tick in Linux's accounting, ms. It is the same in all common builds. */
export const TICK_MS = 10

/**
 * The core time of the child processes that have ended, and of those of their own children that they waited for, ms.
 * Read from /proc; undefined on systems without it.
 */
export async function coresOfEndedChildren(): Promise<number | undefined> {
  const stat = await readFile('/proc/self/stat', 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  const [user, system] = fieldsOf(stat).slice(13, 15)
  return TICK_MS * (Number(user) + Number(system))
}

/** The fields of /proc/PID/stat after the command's name, which may contain anything. Index 0 is field 3 of proc(5). */
export function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}
