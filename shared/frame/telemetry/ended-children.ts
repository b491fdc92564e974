import { readFile } from 'node:fs/promises'

/** Clock ticks of Linux's accounting are 10 ms long on every usual build. */
export const TICK_MS = 10

/**
 * Core-milliseconds of the children of this process that have ended, with those of theirs that they waited for.
 * From /proc: undefined where there is none.
 */
export async function coresOfEndedChildren(): Promise<number | undefined> {
  const stat = await readFile('/proc/self/stat', 'utf8').catch(() => undefined)
  if (stat === undefined) return undefined
  const [user, system] = fieldsOf(stat).slice(13, 15)
  return TICK_MS * (Number(user) + Number(system))
}

/** Of /proc/PID/stat what follows the command's name, which may hold anything: field 3 of proc(5) is number 0 here. */
export function fieldsOf(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
}
