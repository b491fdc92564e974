import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ffmpeg } from './audio.ts'

/** What ffmpeg makes of a file, 16-bit stereo, with any error an error. It is given as a file, so that it can jump about. */
export async function decodedByFfmpeg(
  file: Uint8Array,
  extension: string,
): Promise<Int16Array> {
  const folder = await mkdtemp(join(tmpdir(), 'decode-'))
  try {
    const path = join(folder, `track.${extension}`)
    await writeFile(path, file)
    const pcm = await ffmpeg(['-xerror', '-i', path, '-f', 's16le', 'pipe:1'])
    return new Int16Array(Uint8Array.from(pcm).buffer)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/**
 * By how many samples `got` comes late against `want`, both interleaved stereo of the same scale: where, within
 * ± `most`, they look most alike.
 */
export function lag(want: ArrayLike<number>, got: ArrayLike<number>, most = 2500): number {
  let best = 0
  let likest = Number.NEGATIVE_INFINITY
  for (let late = -most; late <= most; late++) {
    let [product, wanted, given] = [0, 0, 0]
    // Every 7th sample of the left channel is enough to tell.
    for (let i = 2 * most; i < want.length / 2 - most; i += 7) {
      const [w, g] = [want[2 * i] ?? 0, got[2 * (i + late)] ?? 0]
      product += w * g
      wanted += w * w
      given += g * g
    }
    const likeness = product / Math.sqrt(wanted * given || 1)
    if (likeness > likest) [likest, best] = [likeness, late]
  }
  return best
}

/** Left and right taken by turns, in the scale of 16-bit numbers. */
export function interleaved([left, right]: readonly Float32Array[]): Float32Array {
  const length = left?.length ?? 0
  const both = new Float32Array(2 * length)
  for (let i = 0; i < length; i++) {
    both[2 * i] = (left?.[i] ?? 0) * 32_768
    both[2 * i + 1] = (right?.[i] ?? 0) * 32_768
  }
  return both
}
