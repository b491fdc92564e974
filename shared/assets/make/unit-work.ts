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
import type { Cores } from '../../frame/cores.ts'
import type { StepContext } from '../../frame/step.ts'
import type { StoreDriver } from '../../store/driver/driver.ts'
import type { Isolation } from '../../underway/isolation.ts'
import type { Derivative, Tools } from '../definition.ts'
import { isPart } from '../plan.ts'
import type { Registry } from '../registry.ts'

export interface UnitDeps {
  readonly registry: Registry
  /** The store that a master's URI lies in. */
  readonly locate: (uri: string) => { driver: StoreDriver; name: ObjectName }
  /** A step takes one. */
  readonly cores: Cores
  /** Where the samples that a step reads are kept, from one step to the next; without it each step gets its own. */
  readonly blocks?: BlockPool
  /** Who may work beside whom in this process; as `Isolation` has it unless told. */
  readonly isolation?: Isolation
  /** What this service lends the assets of its stage, beside what every stage does. */
  readonly tools: (base: Tools) => Tools
}

/** One delivery of one step of a stage. */
export interface Work {
  readonly stage: MakingStage
  readonly message: StepDue
  readonly context: StepContext
  readonly deps: UnitDeps
  /** Of all deliveries of the stage in this process. */
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

/** All units of the stage. */
export function plannedUnits({
  stage,
  message,
}: Pick<Work, 'stage' | 'message'>): readonly Unit[] {
  return unitsOf(message, message.plan[stage].flat())
}

/** The assets of the stage that were cut into parts, each as one unit over the whole track. */
export function joinsDue(work: Pick<Work, 'stage' | 'message'>): readonly Unit[] {
  const { samples } = work.message.plan.pcm
  return plannedUnits(work)
    .filter((unit) => isPart(unit, samples) && unit.start === 0)
    .map((unit) => ({ ...unit, end: samples }))
}

/** @throws RestartError for a version that is no longer made here, Error for one that is not made here yet. */
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

export function partName(message: StepDue, unit: Unit): ObjectName {
  const range = rangeName(unit.start, unit.end)
  const folder = `${unit.asset}@${unit.version}`
  return scratchName(scratchOf(message), 'parts', folder, range)
}

/** Where the stops of the stage's units are counted, each in a folder of its own. */
export function stopsFolder({ stage, message }: Pick<Work, 'stage' | 'message'>): string {
  return scratchName(scratchOf(message), 'stopped', `${stage}/`)
}

export function stopsOf(work: Pick<Work, 'stage' | 'message'>, unit: Unit): string {
  const { asset, version, start, end } = unit
  return `${stopsFolder(work)}${asset}@${version}/${rangeName(start, end)}/`
}

/** Where the verdict on a unit that failed for good is left. */
export function tombstoneName(message: StepDue, unit: Unit): ObjectName {
  const range = rangeName(unit.start, unit.end)
  return `${tombstoneFolder(scratchOf(message), unit)}${range}.json` as ObjectName
}

/** Where the verdicts on an asset's units are left. */
export function tombstoneFolder(
  place: ScratchPlace,
  { asset, version }: { readonly asset: string; readonly version: number },
): string {
  return scratchName(place, 'failed', `${asset}@${version}/`)
}

/**
 * The marker of a stage whose continuation has been sent. A run that begins anew on the same plan, because something
 * is gone from scratch, has to be sent on once more.
 */
export function joinedName(place: ScratchPlace, stage: Stage, restarts: number): ObjectName {
  return scratchName(place, `joined-${stage}-${restarts}`)
}

/** Whether an object is the marker of a stage. */
export function isJoinedName(name: ObjectName): boolean {
  return /\/joined-[a-z]+-\d+$/.test(name)
}

export function scratchOf({ route, job, run, plan }: StepDue): ScratchPlace {
  return { route, job: job as JobId, run, plan: plan.digest }
}
