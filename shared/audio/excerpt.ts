import { SAMPLE_RATE } from '../contracts/pcm-format.ts'
import type { PcmSource } from './pcm.ts'
import { sourceOf } from './ranged.ts'

/** How long an excerpt rises and falls where it cuts into the track, seconds. Default: not at all. */
export interface Fades {
  readonly inSeconds?: number
  readonly outSeconds?: number
}

/**
 * The samples [start, end) of a track as a track of its own, faded where it cuts; not at the track's own beginning and
 * end.
 * @throws RangeError when the track does not have these samples
 */
export function excerpt(
  pcm: PcmSource,
  { start, end }: { readonly start: number; readonly end: number },
  { inSeconds = 0, outSeconds = 0 }: Fades = {},
): PcmSource {
  if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end))
    throw new RangeError(`an excerpt is of whole samples, at least one, got ${start} to ${end}`)
  if (end > pcm.samples)
    throw new RangeError(`an excerpt up to sample ${end} of a track of ${pcm.samples}`)
  const samples = end - start
  const fadeIn = start > 0 ? Math.min(Math.round(inSeconds * SAMPLE_RATE), samples) : 0
  const fadeOut =
    end < pcm.samples ? Math.min(Math.round(outSeconds * SAMPLE_RATE), samples) : 0
  const gain = (at: number) => rise(at, fadeIn) * rise(samples - 1 - at, fadeOut)

  return sourceOf(samples, async (from, to, signal) => {
    const piece = (await pcm.read(start + from, start + to, signal)).slice()
    for (let at = from; at < to; at++) {
      if (at >= fadeIn && at < samples - fadeOut) continue
      const left = 2 * (at - from)
      piece[left] = Math.round((piece[left] ?? 0) * gain(at))
      piece[left + 1] = Math.round((piece[left + 1] ?? 0) * gain(at))
    }
    return piece
  })
}

/** Rises from 0 to 1 over `samples` samples, smoothly at both ends (3t² − 2t³). The same on every machine. */
function rise(at: number, samples: number): number {
  if (at >= samples) return 1
  const t = at / samples
  return t * t * (3 - 2 * t)
}
