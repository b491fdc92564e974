import type { StepDue } from '#shared/messages/run.ts'
import type { Step } from '#shared/step.ts'
import { unitStep } from '#shared/units/unit-step.ts'
import type { UnitDeps } from '#shared/units/work.ts'
import { encodeTools } from './tools.ts'

/** The step that encodes. */
export function encodeStep(deps: Omit<UnitDeps, 'tools'>): Step<StepDue> {
  return unitStep('encode', { ...deps, tools: ({ pcm, signal }) => encodeTools(pcm, signal) })
}
