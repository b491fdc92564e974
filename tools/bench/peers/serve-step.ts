import { CHAIN, type ChainStep } from '#shared/contracts/stages.ts'
import type { Carried, Queue } from './queue.ts'
import type { StepWork } from './step-work.ts'

/**
 * Handles the jobs of one step: does its part of the work, and hands them on, or records them behind the last step.
 * @param work absent: jobs are only passed on, and none is recorded
 * @param onOut called with the id of each job that has come out of the last step, again if it does so twice
 */
export async function serveStep(
  queue: Queue,
  step: ChainStep,
  { work, onOut }: { work?: StepWork | undefined; onOut: (requestId: string) => void },
): Promise<void> {
  const next = CHAIN[CHAIN.indexOf(step) + 1]
  await queue.work(step, async (job: Carried) => {
    const done = (await work?.(step, job)) ?? job
    if (next !== undefined) return queue.handOn(next, done)
    if (work !== undefined) await queue.record(done)
    onOut(done.request_id)
  })
}
