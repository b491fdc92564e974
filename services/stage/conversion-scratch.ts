import { buffer } from 'node:stream/consumers'
import { clearScratch } from '#shared/assets/end-run.ts'
import { wavPartName } from '#shared/assets/make/pcm-source.ts'
import { joinedName } from '#shared/assets/make/unit-work.ts'
import { isVerdictCode, PermanentError } from '#shared/contracts/errors/chain.ts'
import { isNotFound } from '#shared/contracts/errors/store.ts'
import { json } from '#shared/contracts/message.ts'
import type { PcmPlace } from '#shared/contracts/messages/run.ts'
import { type ObjectName, scratchName } from '#shared/contracts/names.ts'
import type { StepContext } from '#shared/frame/step.ts'
import { sameBytes } from '#shared/store/driver/driver.ts'
import { type FoundRun, placeOf } from './plan-run.ts'
import type { WritePart } from './resample/part-writer.ts'

// What the steps of one conversion leave in scratch for each other: the parts, the marker that all of them are there,
// and the tombstone that one of them has failed for good.

/** What is known of a run of which a step has failed, perhaps before its master was found. */
export type Failing = Omit<FoundRun, 'found' | 'layout' | 'names'>

/** Stores the parts of a conversion. */
export function writerOf(run: FoundRun): WritePart {
  return async (start, end, wav) => {
    const name = wavPartName(placeOf(run), start, end)
    sameBytes(await run.context.write('scratch', name, wav, 'audio/wav'), name)
  }
}

/** The parts in scratch, as a map from the start of each to its end. */
export async function partsThere(run: FoundRun): Promise<Map<number, number>> {
  const { scratch, signal } = run.context
  const there = new Map<number, number>()
  for await (const { name } of scratch.list(scratchName(placeOf(run), 'wav/'), { signal })) {
    const [, start, end] = /\/(\d+)-(\d+)\.wav$/.exec(name) ?? []
    if (start !== undefined && end !== undefined) there.set(Number(start), Number(end))
  }
  return there
}

/** The missing parts, with adjacent ones joined to ranges. */
export function missingRanges(
  there: ReadonlyMap<number, number>,
  { start, end, partSamples }: { start: number; end: number; partSamples: number },
): [number, number][] {
  const ranges: [number, number][] = []
  for (let at = start; at < end; at += partSamples) {
    const to = Math.min(end, at + partSamples)
    if (there.get(at) === to) continue
    const last = ranges.at(-1)
    if (last?.[1] === at) last[1] = to
    else ranges.push([at, to])
  }
  return ranges
}

/** The place of the samples if an earlier conversion has brought all of them into scratch. */
export async function stagedBefore(run: FoundRun): Promise<PcmPlace | undefined> {
  const found = await readJson(markerOf(run), run.context)
  return found as PcmPlace | undefined
}

/** The name of the marker that all samples are in scratch. */
export function markerOf(run: FoundRun): ObjectName {
  return joinedName(placeOf(run), 'stage', run.message.restarts)
}

/** That marker, with the place of the samples as its body. */
export function markOf(run: FoundRun, pcm: PcmPlace) {
  return { marker: markerOf(run), body: Buffer.from(JSON.stringify(pcm)) }
}

/** Leaves the error with which one step of a conversion has failed for good, so that the others fail with it, too. */
export async function leaveStageTombstone(run: Failing, error: PermanentError): Promise<void> {
  const { code, message: sentence } = error
  const body = Buffer.from(JSON.stringify({ code, sentence: sentence.slice(0, 2000) }))
  await run.context.write('scratch', tombstoneOf(run), body, 'application/json')
}

function tombstoneOf(run: Failing): ObjectName {
  return scratchName(placeOf(run), 'failed', `stage-${run.message.restarts}.json`)
}

/**
 * Fails with the error of another step of this conversion, if one has failed for good.
 * @throws PermanentError
 */
export async function throwStageTombstone(run: FoundRun): Promise<void> {
  const found = (await readJson(tombstoneOf(run), run.context)) as
    | { code: string; sentence: string }
    | undefined
  if (found === undefined) return
  const code = isVerdictCode(found.code) ? found.code : 'MASTER_UNREADABLE'
  throw new PermanentError(code, found.sentence)
}

async function readJson(
  name: ObjectName,
  { scratch, signal }: StepContext,
): Promise<unknown | undefined> {
  try {
    return json(await buffer(await scratch.read(name, { signal })), name)
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** Removes all that the conversion has in scratch. */
export function clearConversion(run: FoundRun): Promise<void> {
  return clearScratch(placeOf(run), run.context, { hasTombstones: false })
}
