import { unitStep } from '#shared/assets/make/unit-step.ts'
import type { UnitDeps } from '#shared/assets/make/unit-work.ts'
import type { StepDue } from '#shared/contracts/messages/run.ts'
import type { Step } from '#shared/frame/step.ts'
import { analyzeTools } from './tools.ts'
import { WorkerPool } from './worker-pool.ts'

/** Creates the analyze step and the worker threads in which it computes. Call `close` at the end. */
export function analyzing(
  deps: Omit<UnitDeps, 'tools'>,
  { threads }: { threads: number },
): { readonly step: Step<StepDue>; close(): Promise<void> } {
  const pool = new WorkerPool({ threads })
  const step = unitStep('analyze', {
    ...deps,
    tools: ({ pcm, signal }) => analyzeTools({ pcm, signal, pool }),
  })
  return { step, close: () => pool.close() }
}
