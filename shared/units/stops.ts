import type { ObjectName } from '../names.ts'
import type { StepContext } from '../step.ts'

/**
 * Records in scratch that a step was stopped at the hard limit before it had made anything, and tells how often that
 * has happened. Deliveries do not tell: most of those that are repeated died with their node.
 * @param prefix the folder of the step's run or plan, with a slash at its end
 * @param step what the step is called among the others there
 */
export async function countStops(
  prefix: string,
  step: string,
  { scratch, signal, write }: StepContext,
): Promise<number> {
  const folder = `${prefix}stopped/${step}/`
  await write('scratch', `${folder}${Date.now()}` as ObjectName, new Uint8Array(), 'text/plain')
  let stops = 0
  for await (const _ of scratch.list(folder, { signal })) stops++
  return stops
}
