import type { ChildProcess } from 'node:child_process'
import { scheduledProcess } from './scheduled.ts'
import { underway } from './underway.ts'

/** Counts the core time of a child process for the work that is running, until the child ends. */
export function measured(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  const counted = underway()?.own?.measure(() => scheduledProcess(pid))
  if (counted !== undefined) child.once('exit', counted)
}
