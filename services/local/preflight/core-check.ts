import { encodeAac } from '#shared/audio/ffmpeg.ts'
import { SAMPLE_RATE } from '#shared/audio/pcm.ts'
import { type Check, judged } from './check.ts'

const BITRATE = 128_000
const TIMES = 2
const SHORT_SECONDS = 5
const LONG_SECONDS = 20
/**
 * What a second of this signal costs a core of the reference, ms: of music it is 7.9 (433 s in 3.4 core-seconds,
 * docs/performance.md), and this costs 0.6 of that.
 */
const REFERENCE_MS = 4.7
/** From one run to the next a core differs by so much. */
const TOLERANCE = 1.25

/**
 * How fast a core encodes AAC, the dearest of what steps do, against what a route says of its cores.
 * @param factor of the route: how many times slower than the reference.
 */
export function coreCheck(route: string, factor: number): Check {
  const name = 'core speed'
  return {
    name,
    remedy: 'see the check of ffmpeg itself',
    async run(signal) {
      const slower = await coreFactor(signal)
      const found = `takes ${slower} times as long as the reference; the factor of the route ${route} is ${factor}`
      const remedy = `give the route ${route} the factor ${slower}, in TRACKCHAIN_ROUTES and in Terraform's routes, for shorter parts: else steps run over their budget; or faster cores, or less beside the step on each`
      const isTooSlow = slower > factor * TOLERANCE
      return [judged(name, isTooSlow ? [{ state: 'warning', found, remedy }] : [], found)]
    },
  }
}

/**
 * How many times slower than the reference a core of this machine encodes, to a tenth; takes a second or two, and
 * is right to a fifth or so where nothing else runs.
 */
export async function coreFactor(signal: AbortSignal): Promise<number> {
  return Math.round((10 * (await msPerSecond(signal))) / REFERENCE_MS) / 10
}

/** Wall-clock ms of each further second of audio, without the start of ffmpeg: the least of several runs. */
async function msPerSecond(signal: AbortSignal): Promise<number> {
  const [short, long] = [Buffer.from(audio(SHORT_SECONDS)), Buffer.from(audio(LONG_SECONDS))]
  let [least, leastLong] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < TIMES; i++) {
    least = Math.min(least, await encoding(short, signal))
    leastLong = Math.min(leastLong, await encoding(long, signal))
  }
  return (leastLong - least) / (LONG_SECONDS - SHORT_SECONDS)
}

async function encoding(pcm: Buffer, signal: AbortSignal): Promise<number> {
  const began = performance.now()
  for await (const _ of encodeAac(pieces(pcm), BITRATE, signal));
  return performance.now() - began
}

async function* pieces(pcm: Buffer): AsyncGenerator<Buffer> {
  const PIECE = 1 << 18
  for (let at = 0; at < pcm.length; at += PIECE) yield pcm.subarray(at, at + PIECE)
}

/** Three saw-tooths, and noise that is struck twice a second: 16-bit stereo, the same each time. */
function audio(seconds: number): ArrayBuffer {
  const pcm = new Int16Array(2 * SAMPLE_RATE * seconds)
  const saw = (i: number, hz: number) => 2 * (((i * hz) / SAMPLE_RATE) % 1) - 1
  let noise = 1
  for (let i = 0; i < pcm.length / 2; i++) {
    // The generator of Numerical Recipes; its upper bits are the better ones.
    noise = (Math.imul(noise, 1_664_525) + 1_013_904_223) | 0
    const fading = 1 - (((2 * i) / SAMPLE_RATE) % 1)
    const chord = 3000 * saw(i, 110) + 3000 * saw(i, 277.2) + 2000 * saw(i, 659.3)
    pcm[2 * i] = chord + fading * (noise >> 18)
    pcm[2 * i + 1] = chord - fading * (noise >> 19)
  }
  return pcm.buffer
}
