import type { Warning } from '#shared/contracts/warnings.ts'
import type { Layout } from '../formats/layout.ts'
import { type NoNumbers, noNumberWarnings } from './no-numbers.ts'
import { PART_SAMPLES } from './part-writer.ts'
import { type StageOptions, samplesAt44100, stageRange } from './range.ts'
import { stageStream } from './stream.ts'

/**
 * Converts a whole master at once, with the result that the steps of a chain would have. For tools.
 * @throws as `stageRange` and `stageStream`
 */
export async function stageMaster(
  layout: Layout,
  {
    partSamples = PART_SAMPLES,
    mostSamples = Number.POSITIVE_INFINITY,
    ...options
  }: Pick<StageOptions, 'file' | 'write' | 'signal'> & {
    readonly partSamples?: number
    readonly mostSamples?: number
  },
): Promise<{ samples: number; partSamples: number; warnings?: readonly Warning[] }> {
  if (layout.kind !== 'coded') {
    const samples = samplesAt44100(layout)
    const none: NoNumbers[] = []
    const onNoNumbers = async (found: NoNumbers) => void none.push(found)
    const range = { partSamples, start: 0, end: samples, onNoNumbers }
    await stageRange(layout, { ...options, ...range })
    return { samples, partSamples, warnings: noNumberWarnings(layout, none) }
  }
  const range = { partSamples, start: 0, end: mostSamples, mostSamples }
  const { end: samples, warnings = [] } = await stageStream(layout, { ...options, ...range })
  return { samples, partSamples, warnings }
}
