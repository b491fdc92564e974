import type { ObjectName } from '../../contracts/names.ts'
import type { Next, StepContext } from '../../frame/step.ts'

/** What follows from a step, without its verdict. */
export type Following = Pick<Next, 'sends' | 'afterwards'>

interface FanIn {
  /** The object that records that the continuation has been sent, and its body. Default: an empty body. */
  readonly marker: ObjectName
  readonly body?: Uint8Array
  /** Whether every planned output of the stage has been made, or has failed for good. */
  isMade(): Promise<boolean>
  /** Whether the run has ended, so that its objects in scratch are no longer needed. */
  isOver(): Promise<boolean>
  clear(): Promise<void>
  sendOn(): Promise<Following>
}

/**
 * Joins the steps that a stage was fanned out into. The step that finds every planned output made, or failed for good,
 * sends the run on and then leaves the marker. A step that finds the marker sends nothing.
 */
export async function fanIn(
  { marker, body = new Uint8Array(), isMade, isOver, clear, sendOn }: FanIn,
  context: StepContext,
): Promise<Following> {
  const { scratch, signal } = context
  if ((await scratch.stat(marker, { signal })) !== undefined) {
    // A copy of an earlier step may have written to scratch after the end. Then no later step would remove that.
    return (await isOver()) ? { sends: [], afterwards: [clear] } : { sends: [] }
  }
  if (!(await isMade())) return { sends: [] }
  const mark = async () => {
    await context.write('scratch', marker, body, 'application/json')
    // The rest of the run may have been faster: then scratch has been cleared, and no other step would clear it again.
    if (await isOver()) await clear()
  }
  const next = await sendOn()
  return { ...next, afterwards: [mark, ...(next.afterwards ?? [])] }
}
