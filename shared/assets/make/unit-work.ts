import type { BlockPool } from '../../audio/blocks.ts'
import { PermanentError, RestartError } from '../../contracts/errors/chain.ts'
import type { StepDue, Unit } from '../../contracts/messages/run.ts'
import {
  type JobId,
  type ObjectName,
  rangeName,
  type ScratchPlace,
  scratchName,
} from '../../contracts/names.ts'
import type { MakingStage, Stage } from '../../contracts/stages.ts'
import type { StepContext } from '../../frame/step.ts'
import type { StoreDriver } from '../../store/driver/driver.ts'
import type { Isolation } from '../../underway/isolation.ts'
import type { Derivative, Tools } from '../definition.ts'
import { isPart } from '../plan.ts'
import type { Registry } from '../registry.ts'

/** What the steps of a stage that makes assets need. */
export interface UnitDeps {
  readonly registry: Registry
  /** Resolves the URI of a master to its store and its name there. */
  readonly locate: (uri: string) => { driver: StoreDriver; name: ObjectName }
  /** The memory for samples, reused from one step to the next. Default: each step allocates its own. */
  readonly blocks?: BlockPool
  /** Which work may run beside other work in this process. Default: a new `Isolation`. */
  readonly isolation?: Isolation
  /** Adds the tools of this stage to those that every stage has. */
  readonly tools: (base: Tools) => Tools
}

/** One delivery of one step of a stage. */
export interface Work {
  readonly stage: MakingStage
  readonly message: StepDue
  readonly context: StepContext
  readonly deps: UnitDeps
  /** Shared by all deliveries of the stage in this process. */
  readonly isolation: Isolation
}

/** The units of a step. @throws PermanentError when the plan has no such unit. */
export function unitsOf({ plan }: StepDue, indexes: readonly number[]): readonly Unit[] {
  return indexes.map((index) => {
    const unit = plan.units[index]
    if (unit === undefined)
      throw new PermanentError('NOT_A_MESSAGE', `the plan has no unit ${index}`)
    return unit
  })
}

/** All units that the plan has for the stage. */
export function plannedUnits({
  stage,
  message,
}: Pick<Work, 'stage' | 'message'>): readonly Unit[] {
  return unitsOf(message, message.plan.steps[stage].flat())
}

/** The assets of the stage that are cut into parts, each as one unit over the whole track. */
export function joinsDue(work: Pick<Work, 'stage' | 'message'>): readonly Unit[] {
  const { samples } = work.message.plan.pcm
  return plannedUnits(work)
    .filter((unit) => isPart(unit, samples) && unit.start === 0)
    .map((unit) => ({ ...unit, end: samples }))
}

/** The asset of a unit. @throws RestartError if this worker makes a newer version; Error if an older one or none. */
export function assetOf(unit: Unit, registry: Registry): Derivative {
  const asset = registry.get(unit.asset)
  if (asset === undefined || asset.version < unit.version) {
    throw new Error(`${unit.asset}@${unit.version} is newer than this worker: given back`)
  }
  if (asset.version > unit.version) {
    throw new RestartError(
      'SUPERSEDED',
      `the plan asks for ${unit.asset}@${unit.version}, this worker makes @${asset.version}`,
    )
  }
  return asset
}

/** The name in scratch of a part. */
export function partName(message: StepDue, unit: Unit): ObjectName {
  const range = rangeName(unit.start, unit.end)
  const folder = `${unit.asset}@${unit.version}`
  return scratchName(scratchOf(message), 'parts', folder, range)
}

/** The folder of scratch in which the stops of the stage's units are counted, each in a folder of its own. */
export function stopsFolder({ stage, message }: Pick<Work, 'stage' | 'message'>): string {
  return scratchName(scratchOf(message), 'stopped', `${stage}/`)
}

/** The folder of scratch in which the stops of one unit are counted. */
export function stopsOf(work: Pick<Work, 'stage' | 'message'>, unit: Unit): string {
  const { asset, version, start, end } = unit
  return `${stopsFolder(work)}${asset}@${version}/${rangeName(start, end)}/`
}

/** The name in scratch of the tombstone of a unit: the verdict that it has failed for good. */
export function tombstoneName(message: StepDue, unit: Unit): ObjectName {
  const range = rangeName(unit.start, unit.end)
  return `${tombstoneFolder(scratchOf(message), unit)}${range}.json` as ObjectName
}

/** The folder of scratch with the tombstones of an asset's units. */
export function tombstoneFolder(
  place: ScratchPlace,
  { asset, version }: { readonly asset: string; readonly version: number },
): string {
  return scratchName(place, 'failed', `${asset}@${version}/`)
}

/**
 * The name of the marker of a stage whose continuation has been sent. It has the number of restarts: a run that
 * restarts on the same plan, because something is missing from scratch, has to be sent on once more.
 */
export function joinedName(place: ScratchPlace, stage: Stage, restarts: number): ObjectName {
  return scratchName(place, `joined-${stage}-${restarts}`)
}

/** Whether an object is such a marker of a stage. */
export function isJoinedName(name: ObjectName): boolean {
  return /\/joined-[a-z]+-\d+$/.test(name)
}

/** The place of a plan in scratch. */
export function scratchOf({ route, job, run, plan }: StepDue): ScratchPlace {
  return { route, job: job as JobId, run, plan: plan.digest }
}
