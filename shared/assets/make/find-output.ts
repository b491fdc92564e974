import { buffer } from 'node:stream/consumers'
import { isNotFound } from '../../contracts/errors/store.ts'
import { json } from '../../contracts/message.ts'
import type { Unit, Verdict, Verdicts } from '../../contracts/messages/run.ts'
import type { Revision } from '../../contracts/names.ts'
import { findAsset } from '../end-run.ts'
import { isPart } from '../plan.ts'
import { joinsDue, partName, plannedUnits, tombstoneName, type Work } from './unit-work.ts'

/** The verdict on a unit, by the names of its outputs alone; undefined if it has not been made and has not failed. */
export async function outcomeOf(work: Work, unit: Unit): Promise<Verdict | undefined> {
  const { message, context } = work
  if (isPart(unit, message.plan.pcm.samples)) {
    const { signal } = context
    const part = await context.scratch.stat(partName(message, unit), { signal })
    if (part !== undefined) return { state: 'made', version: unit.version, files: {} }
  }
  return (await assetOutcome(work, unit)) ?? (await readTombstone(work, unit))
}

/** The verdict `made` if the unit's whole asset exists. Undefined also if this worker does not know the asset. */
async function assetOutcome(work: Work, unit: Unit): Promise<Verdict | undefined> {
  const { message, context, deps } = work
  const asset = deps.registry.get(unit.asset)
  if (asset?.version !== unit.version) return undefined
  const { plan, request } = message
  return findAsset(asset, request.asset_guid, plan.revision as Revision, context)
}

/** The verdicts on the stage's assets: those in `fresh`, and for the rest what the stores have under their names. */
export async function verdictsByName(
  work: Work,
  fresh: ReadonlyMap<string, Verdict> = new Map(),
): Promise<Verdicts> {
  const { plan } = work.message
  const verdicts: Verdicts = {}
  for (const unit of [...plannedUnits(work), ...joinsDue(work)]) {
    const part = isPart(unit, plan.pcm.samples)
    // A part that was made says nothing about its asset; a part that failed fails the asset.
    const verdict = part
      ? await readTombstone(work, unit)
      : (fresh.get(unit.asset) ??
        (await assetOutcome(work, unit)) ??
        (await readTombstone(work, unit)))
    if (verdict !== undefined) verdicts[unit.asset] ??= verdict
  }
  return verdicts
}

/** The verdict on a unit that has failed for good; undefined if it has not. */
export async function readTombstone(
  { message, context }: Work,
  unit: Unit,
): Promise<Verdict | undefined> {
  const { signal, scratch } = context
  try {
    const bytes = await buffer(await scratch.read(tombstoneName(message, unit), { signal }))
    return json(bytes, 'tombstone') as Verdict
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
