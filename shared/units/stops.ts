import type { ObjectName } from '../names.ts'
import type { StepContext } from '../step.ts'

/**
 * Records in scratch that a step was stopped at the hard limit before it had made anything, and tells how often that
 * has happened. Deliveries do not tell: most of those that are repeated died with their node.
 * @param folder the step's own, with a slash at its end
 */
export async function countStops(
  folder: string,
  { scratch, signal, write }: StepContext,
): Promise<number> {
  await write('scratch', `${folder}${Date.now()}` as ObjectName, new Uint8Array(), 'text/plain')
  let stops = 0
  for await (const _ of scratch.list(folder, { signal })) stops++
  return stops
}
