import { buffer } from 'node:stream/consumers'
import { json } from '#shared/message.ts'
import { type ScratchPlace, scratchName } from '#shared/names.ts'
import type { StepContext } from '#shared/step.ts'
import type { Warning } from '#shared/warnings.ts'

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
