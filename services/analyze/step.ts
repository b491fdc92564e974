import type { StepDue } from '#shared/messages/run.ts'
import type { Step } from '#shared/step.ts'
import { unitStep } from '#shared/units/unit-step.ts'
import type { UnitDeps } from '#shared/units/work.ts'
import { WorkerPool } from './pool.ts'
import { analyzeTools } from './tools.ts'

/** The step that listens, and the worker threads that it computes in; close them at the end. */
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
