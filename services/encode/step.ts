import { unitStep } from '#shared/assets/make/unit-step.ts'
import type { UnitDeps } from '#shared/assets/make/unit-work.ts'
import type { StepDue } from '#shared/contracts/messages/run.ts'
import type { Step } from '#shared/frame/step.ts'
import { encodeTools } from './tools.ts'

/** Creates the encode step. */
export function encodeStep(deps: Omit<UnitDeps, 'tools'>): Step<StepDue> {
  return unitStep('encode', { ...deps, tools: ({ pcm, signal }) => encodeTools(pcm, signal) })
}
