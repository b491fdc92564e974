import type { PcmSource } from '../../../audio/pcm.ts'
import { SAMPLE_RATE } from '../../../contracts/pcm-format.ts'
import type { Range } from '../../definition.ts'

/**
 * The energy of each whole second of a range that begins on a whole second: the sum of the squares of all its numbers,
 * left and right. It is an integer below 2⁴⁷, so that sums of up to 95 of them are exact in any order.
 */
export async function energies(
  pcm: PcmSource,
  { start, end }: Range,
  signal: AbortSignal,
): Promise<Float64Array> {
  const found = new Float64Array(Math.floor((end - start) / SAMPLE_RATE))
  let second = 0
  const whole = start + found.length * SAMPLE_RATE
  for await (const piece of pcm.chunks(start, whole, { size: SAMPLE_RATE, signal })) {
    let energy = 0
    for (let i = 0; i < piece.length; i++) energy += (piece[i] ?? 0) ** 2
    found[second++] = energy
  }
  return found
}

/** The first second of the window of `seconds` seconds with the most energy; of several such windows, the first. */
export function loudestWindow(energy: Float64Array, seconds: number): number {
  let inWindow = 0
  let best = 0
  let most = -1
  for (const [second, entering] of energy.entries()) {
    inWindow += entering - (energy[second - seconds] ?? 0)
    if (second >= seconds - 1 && inWindow > most) {
      most = inWindow
      best = second - seconds + 1
    }
  }
  return best
}
