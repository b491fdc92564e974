import type { PcmSource } from '../../../audio/pcm.ts'
import { sourceOf } from '../../../audio/ranged.ts'
import { SAMPLE_RATE } from '../../../contracts/pcm-format.ts'
import type { Range } from '../../definition.ts'

const FADE_IN = 1 * SAMPLE_RATE
const FADE_OUT = 3 * SAMPLE_RATE

/** A range of a track as a track of its own, faded where it cuts; not at the track's own beginning and end. */
export function excerpt(pcm: PcmSource, { start, end }: Range): PcmSource {
  const samples = end - start
  const fadeIn = start > 0 ? Math.min(FADE_IN, samples) : 0
  const fadeOut = end < pcm.samples ? Math.min(FADE_OUT, samples) : 0
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
