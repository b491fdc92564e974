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
 * By how many samples `got` comes late against `want`, both interleaved stereo: of the delays that encoders and
 * decoders are known to forget, and of those close to them, the one by which they look most alike.
 */
export function lag(want: ArrayLike<number>, got: ArrayLike<number>): number {
  const lags = FORGOTTEN.flatMap((late) => [late, -late]).flatMap(about)
  const alike = lags.map((late) => ({ late, likeness: likeness(want, got, late) }))
  return alike.reduce((best, each) => (each.likeness > best.likeness ? each : best)).late
}

/** None; MP3's and AAC's decoders and encoders; whole frames of both. */
const FORGOTTEN = [0, 528, 529, 576, 1024, 1105, 1152, 2048, 2112]
const about = (late: number) => [-2, -1, 0, 1, 2].map((more) => late + more)
/** Samples that are compared: a second and a half. */
const LISTENED = 66_150

function likeness(want: ArrayLike<number>, got: ArrayLike<number>, late: number): number {
  const most = Math.max(...FORGOTTEN) + 2
  const end = Math.min(want.length / 2 - most, most + LISTENED)
  let [product, wanted, given] = [0, 0, 0]
  for (let i = most; i < end; i++) {
    const [w, g] = [want[2 * i] ?? 0, got[2 * (i + late)] ?? 0]
    product += w * g
    wanted += w * w
    given += g * g
  }
  return product / Math.sqrt(wanted * given || 1)
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
