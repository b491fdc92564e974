import type { PermanentError, RestartError } from '../../contracts/errors/chain.ts'
import type { Envelope } from '../../contracts/messages/run.ts'
import { type ScratchPlace, scratchName } from '../../contracts/names.ts'
import type { Next, StepContext } from '../../frame/step.ts'
import { restartRun } from '../end-run.ts'

/**
 * Restarts a run from a step of a plan that cannot go on. Each step of the plan notices that by itself; the job goes to
 * ingest once, which a marker records. `otherwise`: what follows when the run has restarted too often.
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
