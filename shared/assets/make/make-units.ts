import { buffer } from 'node:stream/consumers'
import { asChainError, PermanentError, RestartError } from '../../contracts/errors/chain.ts'
import { sentence } from '../../contracts/errors/sentence.ts'
import { isNotFound } from '../../contracts/errors/store.ts'
import type { Unit, Verdict } from '../../contracts/messages/run.ts'
import { assetName, type Revision } from '../../contracts/names.ts'
import { countStops, NONE, type Stops, verdictOn } from '../../frame/stops.ts'
import { sameBytes } from '../../store/driver/driver.ts'
import { underway } from '../../underway/underway.ts'
import type { Derivative, Parts, Rendered, Streamed } from '../definition.ts'
import { failedVerdict } from '../end-run.ts'
import { isPart, unitName } from '../plan.ts'
import { type OpenTools, openTools } from './fault-boundary.ts'
import { outcomeOf, readTombstone } from './find-output.ts'
import { resultOf } from './result.ts'
import {
  assetOf,
  partName,
  plannedUnits,
  stopsFolder,
  stopsOf,
  tombstoneName,
  type Work,
} from './unit-work.ts'

/**
 * Makes the units that are missing and creates each one under its own name as soon as it is made. Returns the verdicts
 * on the units that it made or that failed, by asset. A unit that fails for good leaves a tombstone, and the others go
 * on. `joining`: the units are assets whose parts all exist.
 * @throws the first fault that may pass, after every other unit has been tried.
 */
export async function makeUnits(
  work: Work,
  units: readonly Unit[],
  { joining }: { joining: boolean },
): Promise<Map<string, Verdict>> {
  const { context, deps } = work
  const fresh = new Map<string, Verdict>()
  const faults: unknown[] = []
  let opened: OpenTools | undefined
  const stops = await stopsBefore(work, units)
  const stopsAt = (unit: Unit) => stops.get(stopsOf(work, unit))
  // Units that may never finish come last, so that they do not keep the others waiting again.
  const rank = (unit: Unit) => total(stopsAt(unit)) + (isOwn(work, unit) ? 0.5 : 0)
  const inOrder = units.toSorted((a, b) => rank(a) - rank(b))
  for (const unit of inOrder) {
    const asset = assetOf(unit, deps.registry)
    if ((await outcomeOf(work, unit)) !== undefined) {
      context.finished(unitName(unit))
      continue
    }
    if (context.signal.aborted) throw context.signal.reason
    opened ??= openTools(work)
    const tools = opened
    try {
      const overBudget = verdictOn(`${asset.id}@${asset.version}`, stopsAt(unit))
      if (overBudget !== undefined) throw overBudget
      const act = () => (joining ? join : make)(work, asset, unit, tools)
      // A unit that may have ended a process runs alone, so that it cannot take other work with it again.
      const { still = 0, full = 0 } = stopsAt(unit) ?? {}
      const isSuspect = still + full > 0
      const verdict = await besideOrAlone(work, isSuspect, () => asUnit(work, unit, act))
      fresh.set(unit.asset, verdict)
      context.finished(unitName(unit))
    } catch (thrown) {
      const error = asChainError(thrown)
      if (error instanceof RestartError || context.signal.aborted) throw error
      // Any other fault, e.g. one of writing, may pass.
      if (error instanceof PermanentError) {
        fresh.set(unit.asset, await leaveTombstone(work, unit, error))
        context.finished(unitName(unit))
      } else faults.push(error)
    }
  }
  // After an abort, abandoned code may still be reading: its memory is never reused.
  if (!context.signal.aborted) opened?.release()
  if (faults.length > 0) throw faults[0]
  return fresh
}

/**
 * How often the units of the stage have been stopped; not read if they cannot have been. A message on its first
 * delivery may be a copy of one that has ended a process, but only by an operator's own assets: built-in ones yield.
 */
async function stopsBefore(work: Work, units: readonly Unit[]): ReturnType<typeof countStops> {
  const { scratch, signal, delivery } = work.context
  const mayBe = delivery.attempt > 1 || units.some((unit) => isOwn(work, unit))
  return mayBe ? countStops(scratch, stopsFolder(work), signal) : new Map()
}

function isOwn({ deps }: Work, { asset }: Unit): boolean {
  return deps.registry.own?.has(asset) === true
}

/** Runs `act` beside other deliveries or alone. The time that it waits for its turn is not the step's own time. */
async function besideOrAlone<T>(
  { context, isolation }: Work,
  isAlone: boolean,
  act: () => Promise<T>,
): Promise<T> {
  const own = underway()?.own
  const begin = isAlone ? () => isolation.alone() : () => isolation.beside()
  const leave = await (own === undefined ? begin() : own.turn.during(begin))
  try {
    context.signal.throwIfAborted()
    return await act()
  } finally {
    leave()
  }
}

function asUnit<T>(work: Work, unit: Unit, act: () => Promise<T>): Promise<T> {
  return work.context.asUnit({ what: unitName(unit), stops: stopsOf(work, unit) }, act)
}

function total(stops: Stops = NONE): number {
  return Object.values(stops).reduce((sum, each) => sum + each)
}

/** Records that a unit has failed for good, beside its planned output. */
export async function leaveTombstone(
  { stage, message, context }: Work,
  unit: Unit,
  error: PermanentError,
): Promise<Verdict> {
  const tombstone = failedVerdict(unit.version, error, stage, context.delivery.attempt)
  const body = Buffer.from(JSON.stringify(tombstone))
  await context.write('scratch', tombstoneName(message, unit), body, 'application/json')
  return tombstone
}

async function make(
  work: Work,
  asset: Derivative,
  unit: Unit,
  opened: OpenTools,
): Promise<Verdict> {
  const { message, context } = work
  // The stage has the right tools for its own assets: the registry has checked that they belong together.
  const tools = opened.tools as never
  if ('render' in asset) {
    const rendered = await context.onCore(() =>
      opened.runPlugin(asset, () => asset.render(tools)),
    )
    return store(work, asset, opened, rendered)
  }
  const part = await context.onCore(() =>
    opened.runPlugin(asset, () => asset.part(unit, tools)),
  )
  if (!(part instanceof Uint8Array)) throw nothing(asset, 'part')
  if (!isPart(unit, message.plan.pcm.samples)) {
    const whole = await context.onCore(() =>
      opened.runPlugin(asset, () => asset.join([part], tools)),
    )
    return store(work, asset, opened, whole)
  }
  const name = partName(message, unit)
  const created = await context.write('scratch', name, part, 'application/octet-stream')
  sameBytes(created, name)
  return { state: 'made', version: asset.version, files: {} }
}

async function join(
  work: Work,
  asset: Derivative,
  _: Unit,
  opened: OpenTools,
): Promise<Verdict> {
  if (!('join' in asset)) throw new PermanentError('NOT_A_MESSAGE', `${asset.id} has no parts`)
  const units = plannedUnits(work).filter((unit) => unit.asset === asset.id)
  for (const unit of units) {
    const verdict = await readTombstone(work, unit)
    if (verdict?.state === 'failed') return verdict
  }
  const parts: Parts = opened.watched({
    async *[Symbol.asyncIterator]() {
      for (const unit of units) yield await readPart(work, unit)
    },
  })
  const joined = await work.context.onCore(() =>
    opened.runPlugin(asset, () => asset.join(parts, opened.tools as never)),
  )
  return store(work, asset, opened, joined)
}

/** Reads a part. @throws RestartError SCRATCH_MISSING when it is missing. */
async function readPart({ message, context }: Work, unit: Unit): Promise<Uint8Array> {
  const { scratch, signal } = context
  try {
    return await buffer(await scratch.read(partName(message, unit), { signal }))
  } catch (error) {
    if (!isNotFound(error)) throw error
    throw new RestartError('SCRATCH_MISSING', sentence(error), { cause: error })
  }
}

/** The error for an asset that returned something other than bytes. */
function nothing({ id, version }: Derivative, what: string): PermanentError {
  const words = `${id}@${version}: rendered no ${what}, though it promises one`
  return new PermanentError('RENDER_FAILED', words)
}

function isStreamed(given: unknown): given is Streamed {
  return (
    typeof given === 'object' &&
    given !== null &&
    Symbol.asyncIterator in given &&
    Number.isSafeInteger((given as Partial<Streamed>).byteLength)
  )
}

/** Writes the files of an asset. The first one is written last: an asset exists when its first file does. */
async function store(
  { message, context }: Work,
  asset: Derivative,
  opened: OpenTools,
  rendered: Rendered,
): Promise<Verdict> {
  const { request, plan } = message
  const files: Record<string, number> = {}
  const [main = ''] = Object.keys(asset.files)
  const result = asset.result
    ? await resultOf(await fileOf(rendered, main, asset, opened), asset)
    : undefined
  for (const [extension, contentType] of Object.entries(asset.files).reverse()) {
    const isResult = result !== undefined && extension === main
    const file = isResult ? result.bytes : await fileOf(rendered, extension, asset, opened)
    const name = assetName(request.asset_guid, plan.revision as Revision, asset, extension)
    const created = await context.write('assets', name, file, contentType)
    sameBytes(created, name)
    files[extension] = file.byteLength
  }
  const made = { state: 'made', version: asset.version, files } as const
  return result === undefined ? made : { ...made, result: result.value }
}

/** A rendered file, whose getter may throw. @throws PermanentError RENDER_FAILED when it is missing or not bytes. */
function fileOf(
  rendered: Partial<Rendered> | undefined,
  extension: string,
  asset: Derivative,
  opened: OpenTools,
): Promise<Uint8Array | Streamed> {
  return opened.runPlugin(asset, async () => {
    const file = rendered?.[extension]
    if (file instanceof Uint8Array) return file
    if (isStreamed(file)) return opened.checkedFile(asset, file)
    throw nothing(asset, extension)
  })
}
