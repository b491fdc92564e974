import type { PermanentError, RestartError } from '../../contracts/errors/chain.ts'
import { type ScratchPlace, scratchName } from '../../contracts/names.ts'
import type { Next, StepContext } from '../../frame/step.ts'
import { type Envelope, restartRun } from '../end-run.ts'

/**
 * What follows in a step of a plan that can't go on. Each of its steps finds that out for itself; the job goes to
 * ingest once, and a marker says so. `otherwise`: it has begun anew too often.
 */
export async function restartOnce(
  message: Envelope,
  place: ScratchPlace,
  error: RestartError,
  context: StepContext,
  otherwise: (error: PermanentError) => Promise<Next>,
): Promise<Next> {
  const marker = scratchName(place, `restarted-${message.restarts}`)
  const { scratch, signal } = context
  const { code, message: sentence } = error
  if ((await scratch.stat(marker, { signal })) !== undefined) {
    return { sends: [], verdict: 'restarted', code, sentence }
  }
  const next = await restartRun(message, error, otherwise)
  const mark = () => context.write('scratch', marker, new Uint8Array(), 'text/plain')
  return next.verdict === 'restarted' ? { ...next, afterwards: [mark] } : next
}
