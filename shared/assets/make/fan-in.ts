import type { ObjectName } from '../../contracts/names.ts'
import type { Next, StepContext } from '../../frame/step.ts'

export type Following = Pick<Next, 'sends' | 'afterwards'>

interface FanIn {
  /** The object that says that the continuation has been sent, and what it says. */
  readonly marker: ObjectName
  readonly body?: Uint8Array
  /** Whether every planned output of the stage is made, or has failed for good. */
  isMade(): Promise<boolean>
  /** Whether the run has ended, so that nobody will ever need what it keeps in scratch. */
  isOver(): Promise<boolean>
  clear(): Promise<void>
  sendOn(): Promise<Following>
}

/**
 * Of the steps that a stage was fanned out into, the one that finds every planned output made, or failed for
 * good, sends the run on and then leaves the marker; one that sees the marker sends nothing.
 */
export async function fanIn(
  { marker, body = new Uint8Array(), isMade, isOver, clear, sendOn }: FanIn,
  context: StepContext,
): Promise<Following> {
  const { scratch, signal } = context
  if ((await scratch.stat(marker, { signal })) !== undefined) {
    // A copy of an earlier step may have filled scratch anew after the end: then this is the last who knows of it.
    return (await isOver()) ? { sends: [], afterwards: [clear] } : { sends: [] }
  }
  if (!(await isMade())) return { sends: [] }
  const mark = async () => {
    await context.write('scratch', marker, body, 'application/json')
    // What was sent may have overtaken this: then scratch has been cleared, and nobody else will do it again.
    if (await isOver()) await clear()
  }
  const next = await sendOn()
  return { ...next, afterwards: [mark, ...(next.afterwards ?? [])] }
}
