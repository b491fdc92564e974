import { buffer } from 'node:stream/consumers'
import { json } from '#shared/contracts/message.ts'
import { type ScratchPlace, scratchName } from '#shared/contracts/names.ts'
import type { Warning } from '#shared/contracts/warnings.ts'
import type { StepContext } from '#shared/frame/step.ts'
import type { NoNumbers } from './resample/no-numbers.ts'

/**
 * Keeps what a step of staging has found out about the master, once, under a name of its own: whichever step ends
 * the staging reads it (`reportedWarnings`), and a step that comes again finds it. Call it before what the step is
 * looked for by (its last part, a marker), so that no crash can fall between. `name` says what was looked at; of
 * equal names the warnings are equal.
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

/** What steps have reported of a master, by name; empty lists included. */
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

/** Keeps what in a part of a master is no number, in a name. Call it before the part is kept. */
export async function reportNoNumbers(
  place: ScratchPlace,
  { start, count, first }: NoNumbers,
  context: StepContext,
): Promise<void> {
  const object = scratchName(place, NO_NUMBERS, `${start}-${count}-${first}`)
  await context.write('scratch', object, new Uint8Array(0), 'application/octet-stream')
}

/** The same of all parts. */
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
