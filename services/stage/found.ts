import { buffer } from 'node:stream/consumers'
import { json } from '#shared/contracts/message.ts'
import { type ScratchPlace, scratchName } from '#shared/contracts/names.ts'
import type { Warning } from '#shared/contracts/warnings.ts'
import type { StepContext } from '#shared/frame/step.ts'
import type { NoNumbers } from './resample/no-numbers.ts'

/**
 * Stores the warnings that a step of a conversion has found, once, under a name of its own. The step that ends
 * the conversion reads them with `reportedWarnings`, and a redelivered step finds them. Call this before
 * anything that marks the step as done (its last part, a marker), so that a crash between the two cannot lose
 * them.
 * @param name says what was examined; the same name always goes with the same warnings
 */
export async function reportWarnings(
  place: ScratchPlace,
  name: string,
  warnings: readonly Warning[],
  context: StepContext,
): Promise<void> {
  const body = Buffer.from(JSON.stringify(warnings))
  const object = scratchName(place, FOLDER, `${name}.json`)
  await context.write('scratch', object, body, 'application/json')
}

/** The reported warnings of a master by name, empty lists included. */
export async function reportedWarnings(
  place: ScratchPlace,
  { scratch, signal }: Pick<StepContext, 'scratch' | 'signal'>,
): Promise<ReadonlyMap<string, readonly Warning[]>> {
  const folder = scratchName(place, `${FOLDER}/`)
  const reported = new Map<string, readonly Warning[]>()
  for await (const { name } of scratch.list(folder, { signal })) {
    const found = json(await buffer(await scratch.read(name, { signal })), name)
    reported.set(name.slice(folder.length).replace(/\.json$/, ''), found as readonly Warning[])
  }
  return reported
}

const FOLDER = 'found'

/** Stores in an object's name which numbers of a part are NaN or infinite. Call this before the part is stored. */
export async function reportNoNumbers(
  place: ScratchPlace,
  { start, count, first }: NoNumbers,
  context: StepContext,
): Promise<void> {
  const object = scratchName(place, NO_NUMBERS, `${start}-${count}-${first}`)
  await context.write('scratch', object, new Uint8Array(0), 'application/octet-stream')
}

/** The reports of all parts about numbers that are NaN or infinite. */
export async function reportedNoNumbers(
  place: ScratchPlace,
  { scratch, signal }: Pick<StepContext, 'scratch' | 'signal'>,
): Promise<readonly NoNumbers[]> {
  const found: NoNumbers[] = []
  for await (const { name } of scratch.list(scratchName(place, `${NO_NUMBERS}/`), { signal })) {
    const [, start, count, first] = /\/(\d+)-(\d+)-(\d+)$/.exec(name) ?? []
    found.push({ start: Number(start), count: Number(count), first: Number(first) })
  }
  return found
}

const NO_NUMBERS = 'no-numbers'
