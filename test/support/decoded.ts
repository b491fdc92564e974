import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ffmpeg } from './audio.ts'

/** What ffmpeg makes of a file, 16-bit stereo, with any error an error. */
export async function decodedByFfmpeg(
  file: Uint8Array,
  extension: string,
): Promise<Int16Array> {
  return (await allDecodedByFfmpeg([file], extension))[0] as Int16Array
}

/** The same of many files, by one ffmpeg: to start it takes longer than to decode seconds. */
export async function allDecodedByFfmpeg(
  files: readonly Uint8Array[],
  extension: string,
): Promise<Int16Array[]> {
  const folder = await mkdtemp(join(tmpdir(), 'decode-'))
  try {
    // Files, not pipes, so that it can jump about.
    const inputs = files.map((_, n) => join(folder, `${n}.${extension}`))
    const outputs = files.map((_, n) => join(folder, `${n}.pcm`))
    await Promise.all(inputs.map((path, n) => writeFile(path, files[n] as Uint8Array)))
    await ffmpeg([
      '-xerror',
      ...inputs.flatMap((path) => ['-i', path]),
      ...outputs.flatMap((path, n) => ['-map', `${n}:a`, '-f', 's16le', path]),
    ])
    const pcm = await Promise.all(outputs.map((path) => readFile(path)))
    return pcm.map((bytes) => new Int16Array(Uint8Array.from(bytes).buffer))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Signal to noise, dB, of what came against what should have come. */
export function snr(
  want: ArrayLike<number>,
  got: ArrayLike<number>,
  { from = 0, to = want.length } = {},
): number {
  let [signal, fault] = [0, 0]
  for (let i = from; i < to; i++) {
    const [w, g] = [want[i] ?? 0, got[i] ?? 0]
    signal += w * w
    fault += (w - g) ** 2
  }
  return 10 * Math.log10(signal / fault)
}

/**
 * By how many samples `got` comes late against `want`, both interleaved stereo: of the delays that encoders and
 * decoders are known to forget, and of those close to them, the one by which they look most alike.
 */
export function lag(want: ArrayLike<number>, got: ArrayLike<number>): number {
  const lags = FORGOTTEN.flatMap((late) => [late, -late]).flatMap(about)
  const end = Math.min(want.length / 2 - MOST, MOST + LISTENED)
  const left = (pcm: ArrayLike<number>) =>
    Float32Array.from({ length: end + MOST }, (_, i) => pcm[2 * i] ?? 0)
  const [wanted, given] = [left(want).subarray(MOST, end), left(got)]
  const alike = lags.map((late) => {
    const heard = given.subarray(MOST + late, end + late)
    return { late, likeness: likeness(wanted, heard) }
  })
  return alike.reduce((best, each) => (each.likeness > best.likeness ? each : best)).late
}

/** None; MP3's and AAC's decoders and encoders; whole frames of both. */
const FORGOTTEN = [0, 528, 529, 576, 1024, 1105, 1152, 2048, 2112]
const about = (late: number) => [-2, -1, 0, 1, 2].map((more) => late + more)
const MOST = Math.max(...FORGOTTEN) + 2
/** Samples that are compared: a second and a half. */
const LISTENED = 66_150

/** The correlation of the two, but for a factor that is the same for all that is compared with `want`. */
function likeness(want: Float32Array, got: Float32Array): number {
  let [product, power] = [0, 0]
  for (let i = 0; i < want.length; i++) {
    const g = got[i] as number
    product += (want[i] as number) * g
    power += g * g
  }
  return product / Math.sqrt(power || 1)
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
