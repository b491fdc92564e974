import { PermanentError } from '../errors/chain.ts'
import type { Contract } from '../message.ts'
import type { MakingStage } from '../stages.ts'
import { StepDue } from './run.ts'

/** The contract of a stage's topic: the contract of its messages, and that their parts are consistent. */
export function stepDueOf(stage: MakingStage): Contract<StepDue> {
  const consistent = (message: StepDue): StepDue => {
    const fault = faultIn(message, stage)
    if (fault === undefined) return message
    throw new PermanentError('NOT_A_MESSAGE', `${StepDue.name}: ${fault}`)
  }
  return {
    ...StepDue,
    check: (value) => consistent(StepDue.check(value)),
    parse: (data) => consistent(StepDue.parse(data)),
  }
}

function faultIn({ plan, step }: StepDue, stage: MakingStage): string | undefined {
  const { units, pcm } = plan
  const odd = units.find(({ start, end }) => start >= end || end > pcm.samples)
  if (odd !== undefined) {
    return `the unit of samples ${odd.start} to ${odd.end} of a track of ${pcm.samples}`
  }
  const lacking = Object.values(plan.steps)
    .flat(2)
    .find((index) => index >= units.length)
  if (lacking !== undefined) return `a step of unit ${lacking}; the plan has ${units.length}`
  const steps = plan.steps[stage].length
  return step > steps ? `step ${step}; the plan has ${steps} and a join` : undefined
}
