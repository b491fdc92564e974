import { laneOf } from '../../contracts/lanes.ts'
import { stepDueOf } from '../../contracts/messages/consistent.ts'
import {
  attributesOf,
  envelopeOf,
  StepDue,
  subjectOf,
  type Unit,
  type Verdict,
  type Verdicts,
} from '../../contracts/messages/run.ts'
import type { Revision } from '../../contracts/names.ts'
import { type MakingStage, nextStage } from '../../contracts/stages.ts'
import { stageTopic } from '../../contracts/topology.ts'
import { defineStep, type Send, type Step, send } from '../../frame/step.ts'
import { Isolation } from '../../underway/isolation.ts'
import { clearScratch, findAsset, runEnded } from '../end-run.ts'
import { keepFacts } from '../master-facts.ts'
import { unitName } from '../plan.ts'
import { type Following, fanIn } from './fan-in.ts'
import { outcomeOf, verdictsByName } from './find-output.ts'
import { leaveTombstone, makeUnits } from './make-units.ts'
import { restartOnce } from './step-marks.ts'
import {
  joinedName,
  joinsDue,
  plannedUnits,
  scratchOf,
  type UnitDeps,
  unitsOf,
  type Work,
} from './unit-work.ts'

/**
 * The step of a stage that makes derivative assets. It makes the missing ones of the units that its message names; when
 * it finds the whole stage made, it sends the run on.
 */
export function unitStep(stage: MakingStage, deps: UnitDeps): Step<StepDue> {
  const { isolation = new Isolation() } = deps
  const step: Step<StepDue> & Required<Pick<Step<StepDue>, 'fail'>> = {
    name: stage,
    input: stepDueOf(stage),
    subject: subjectOf,
    cancellable: (message) => message,

    async run(message, context) {
      const work = { stage, message, context, deps, isolation }
      const { joining, units } = unitsDue(work)
      const fresh = await makeUnits(work, units, { joining })
      const next = await whatFollows(work, { joining, fresh })
      return {
        ...next,
        verdict: fresh.size === 0 ? 'skipped' : 'done',
        units: units.map(unitName),
      }
    },

    // A verdict concerns only the units of this step: they get tombstones, and the rest of the run goes on.
    async fail(message, error, context) {
      const work = { stage, message, context, deps, isolation }
      const { joining, units } = unitsDue(work)
      const fresh = new Map<string, Verdict>()
      for (const unit of units) {
        if ((await outcomeOf(work, unit)) !== undefined) continue
        fresh.set(unit.asset, await leaveTombstone(work, unit, error))
      }
      const next = await whatFollows(work, { joining, fresh })
      const { code, message: sentence } = error
      return { ...next, verdict: 'failed', units: units.map(unitName), code, sentence }
    },

    async restart(message, error, context) {
      const work = { stage, message, context, deps, isolation }
      const { joining, units } = unitsDue(work)
      // A copy of this step was faster: its input is gone because the run is over.
      if (error.code === 'SCRATCH_MISSING' && (await areMade(work, units))) {
        const next = await whatFollows(work, { joining, fresh: new Map() })
        return { ...next, verdict: 'skipped', units: units.map(unitName) }
      }
      return restartOnce(message, scratchOf(message), error, context, (verdict) =>
        step.fail(message, verdict, context),
      )
    },
  }
  return defineStep(step)
}

/** The messages for all steps of a stage, for its topic. */
export function stepMessages(message: StepDue, stage: MakingStage): readonly Send[] {
  return message.plan.steps[stage].map((_, step) => stepMessage(message, stage, step))
}

function stepMessage(message: StepDue, stage: MakingStage, step: number): Send {
  const { master, plan, verdicts } = message
  const due = { ...envelopeOf(message), master, plan, verdicts, step }
  const topic = stageTopic(stage, message.route, laneOf(message))
  return send(topic, StepDue, due, attributesOf(message))
}

async function whatFollows(
  work: Work,
  { joining, fresh }: { joining: boolean; fresh: ReadonlyMap<string, Verdict> },
): Promise<Following> {
  const { stage, message, context } = work
  const steps = message.plan.steps[stage].length
  if (steps === 1 || joining) return sendOn(work, fresh)
  return fanIn(
    {
      marker: joinedName(scratchOf(message), stage, message.restarts),
      isMade: () => areMade(work, plannedUnits(work)),
      isOver: () => isOver(work),
      clear: () => clear(work, message.verdicts),
      async sendOn() {
        const isToJoin = joinsDue(work).length > 0
        return isToJoin ? { sends: [stepMessage(message, stage, steps)] } : sendOn(work, fresh)
      },
    },
    context,
  )
}

/** What a message asks for: to make units, or to join those that were made. */
function unitsDue(work: Work): { joining: boolean; units: readonly Unit[] } {
  const { stage, message } = work
  const planned = message.plan.steps[stage]
  if (message.step >= planned.length) return { joining: true, units: joinsDue(work) }
  return { joining: false, units: unitsOf(message, planned[message.step] ?? []) }
}

/** Whether all of the units exist or have failed for good. */
async function areMade(work: Work, units: readonly Unit[]): Promise<boolean> {
  for (const unit of units) {
    if ((await outcomeOf(work, unit)) === undefined) return false
  }
  return true
}

/** Whether every planned asset of the run, of all stages, exists or is known to have failed. */
async function isOver({ message, deps, context }: Work): Promise<boolean> {
  const { plan, request, verdicts } = message
  for (const unit of plan.units) {
    if (verdicts[unit.asset] !== undefined) continue
    const asset = deps.registry.get(unit.asset)
    if (asset?.version !== unit.version) return false
    const revision = plan.revision as Revision
    if ((await findAsset(asset, request.asset_guid, revision, context)) === undefined)
      return false
  }
  return true
}

async function sendOn(work: Work, fresh: ReadonlyMap<string, Verdict>): Promise<Following> {
  const { stage, message, context } = work
  const verdicts = { ...message.verdicts, ...(await verdictsByName(work, fresh)) }
  const next = nextStage(message.plan.steps, stage)
  if (next !== undefined) return { sends: stepMessages({ ...message, verdicts }, next) }
  await keepFacts(message.request.asset_guid, message.master, context)
  return {
    sends: [runEnded(message, message.master, verdicts)],
    afterwards: [() => clear(work, verdicts)],
  }
}

/** Clears the plan's scratch if the run can have used it. Otherwise it saves a listing of the store. */
async function clear({ message, context }: Work, verdicts: Verdicts): Promise<void> {
  const { plan } = message
  const hasTombstones = Object.values(verdicts).some(
    ({ state, ...verdict }) =>
      state === 'failed' && 'step' in verdict && verdict.step !== 'stage',
  )
  const isFannedOut = Object.values(plan.steps).some((steps) => steps.length > 1)
  const isUsed = plan.pcm.kind === 'staged' || isFannedOut
  if (isUsed) await clearScratch(scratchOf(message), context, { hasTombstones })
}
