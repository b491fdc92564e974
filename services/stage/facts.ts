import { keptFacts, type MasterFacts } from '#shared/assets/master-facts.ts'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import type { StepContext } from '#shared/frame/step.ts'
import type { FoundMaster } from './find-master.ts'
import type { MasterBytes } from './formats/byte-window.ts'
import { statedWav } from './formats/iff/stated.ts'
import { describeLayout, type Layout } from './formats/layout.ts'
import { samplesAt44100 } from './resample/range.ts'

/** The facts that a layout holds. Those that only the whole stream shows are not among them. */
export function factsOf(layout: Layout): MasterFacts {
  const { warnings = [] } = layout
  // The length of a compressed master is only known after decoding.
  const samples = layout.kind === 'coded' ? 1 : samplesAt44100(layout)
  return { samples, layout: describeLayout(layout), warnings }
}

/**
 * What was found out about a master when its assets were made: what was kept, or what its first bytes state. Undefined
 * when only an examination can tell.
 * @param isStrict whether it has to be certain that there are no other warnings
 */
export async function knownFacts(
  { track, found, file }: { track: string; found: FoundMaster; file: MasterBytes },
  isStrict: boolean,
  context: StepContext,
): Promise<MasterFacts | undefined> {
  const kept = await keptFacts(track, found.revision, context)
  if (kept !== undefined || isStrict) return kept
  try {
    const stated = await statedWav(file, context.signal)
    return stated && factsOf(stated)
  } catch (error) {
    if (error instanceof PermanentError) return undefined
    throw error
  }
}
