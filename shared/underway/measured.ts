import type { ChildProcess } from 'node:child_process'
import { scheduledProcess } from './scheduled.ts'
import { underway } from './underway.ts'

/** Counts a child process as that of the work under way, until it ends. */
export function measured(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return
  const counted = underway()?.own?.measure(() => scheduledProcess(pid))
  if (counted !== undefined) child.once('exit', counted)
}
