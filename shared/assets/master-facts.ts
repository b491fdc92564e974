import { buffer } from 'node:stream/consumers'
import { isNotFound } from '../contracts/errors/store.ts'
import { json } from '../contracts/message.ts'
import type { Master } from '../contracts/messages/run.ts'
import { factsName, type Revision } from '../contracts/names.ts'
import type { Warning } from '../contracts/warning.ts'
import type { StepContext } from '../frame/step.ts'

/** What an examination of a master has found out: its length, its format and its warnings. */
export interface MasterFacts extends Pick<Master, 'samples' | 'layout'> {
  readonly warnings: readonly Warning[]
}

/**
 * Keeps what was found out about a master beside its assets, before the run ends, so that a later job that finds
 * everything made need not examine the master again. Of a WAV without warnings nothing is kept: its first bytes say the
 * same. An object that exists stays, even if another version of `stage` has said something else.
 */
export async function keepFacts(
  track: string,
  { revision, samples, layout, warnings = [] }: Master,
  context: Pick<StepContext, 'write'>,
): Promise<void> {
  if (warnings.length === 0 && /^WAV\b/.test(layout)) return
  const facts: MasterFacts = { samples, layout, warnings }
  const body = Buffer.from(JSON.stringify(facts))
  const name = factsName(track, revision as Revision)
  await context.write('assets', name, body, 'application/json')
}

/** What was kept about a master; undefined when nothing was. */
export async function keptFacts(
  track: string,
  revision: Revision,
  { assets, signal }: Pick<StepContext, 'assets' | 'signal'>,
): Promise<MasterFacts | undefined> {
  const name = factsName(track, revision)
  try {
    return json(await buffer(await assets.read(name, { signal })), name) as MasterFacts
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}
