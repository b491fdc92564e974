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
    file,
    write,
    signal,
    partSamples = PART_SAMPLES,
    mostSamples = Number.POSITIVE_INFINITY,
  }: Pick<StageOptions, 'file' | 'write' | 'signal'> & {
    readonly partSamples?: number
    readonly mostSamples?: number
  },
): Promise<{ samples: number; partSamples: number; warnings?: readonly Warning[] }> {
  if (layout.kind !== 'coded') {
    const samples = samplesAt44100(layout)
    const none: NoNumbers[] = []
    const onNoNumbers = async (found: NoNumbers) => void none.push(found)
    await stageRange(layout, {
      file,
      start: 0,
      end: samples,
      partSamples,
      write,
      onNoNumbers,
      signal,
    })
    return { samples, partSamples, warnings: noNumberWarnings(layout, none) }
  }
  const { end: samples, warnings = [] } = await stageStream(layout, {
    file,
    start: 0,
    end: mostSamples,
    partSamples,
    mostSamples,
    write,
    signal,
  })
  return { samples, partSamples, warnings }
}
