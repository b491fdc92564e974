import { encodeAac } from '#shared/audio/ffmpeg.ts'
import { BYTES_PER_SAMPLE, SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { clubTrack, interleaved } from '../local/synth.ts'
import { type Check, judged } from './check.ts'

const BITRATE = 128_000
const TIMES = 3
const SHORT_SECONDS = 1
const LONG_SECONDS = 20
/** Bars of the music that is encoded: about 30 s. */
const BARS = 16
/** Core time per second of this music on the reference, ms: 433 s in 3.4 core-seconds (docs/reference/performance.md). */
const REFERENCE_MS = 7.9
/** The factor by which two runs on the same core may differ. */
const TOLERANCE = 1.25

/**
 * Checks how fast a core encodes AAC, the most expensive work of the steps, against the `core_slowdown` of a route.
 * @param coreSlowdown of the route: how many times slower its cores are than the reference.
 */
export function coreCheck(route: string, coreSlowdown: number): Check {
  const name = 'core speed'
  return {
    name,
    remedy: 'see the check of ffmpeg itself',
    async run(signal) {
      const slower = await coreFactor(signal)
      const found = `takes ${slower} times as long as the reference; core_slowdown of the route ${route} is ${coreSlowdown}`
      const remedy = `give the route ${route} the core_slowdown ${slower}, in TRACKCHAIN_ROUTES and in Terraform's routes, for shorter parts: else steps run over their budget; or faster cores, or less beside the step on each`
      const isTooSlow = slower > coreSlowdown * TOLERANCE
      return [judged(name, isTooSlow ? [{ state: 'warning', found, remedy }] : [], found)]
    },
  }
}

/**
 * How many times slower than the reference a core of this machine encodes, rounded to a tenth. Takes a second or two.
 * On an idle machine the error is about a fifth.
 */
export async function coreFactor(signal: AbortSignal): Promise<number> {
  return Math.round((10 * (await msPerSecond(signal))) / REFERENCE_MS) / 10
}

/** Wall-clock time of each further second of audio, without the start of ffmpeg, ms: the least of several runs. */
async function msPerSecond(signal: AbortSignal): Promise<number> {
  const music = interleaved(clubTrack({ sampleRate: SAMPLE_RATE, bars: BARS }))
  const all = Buffer.from(music.buffer)
  const secondsOf = (seconds: number) =>
    all.subarray(0, seconds * SAMPLE_RATE * BYTES_PER_SAMPLE)
  const [short, long] = [secondsOf(SHORT_SECONDS), secondsOf(LONG_SECONDS)]
  let [least, leastLong] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < TIMES; i++) {
    least = Math.min(least, await encoding(short, signal))
    leastLong = Math.min(leastLong, await encoding(long, signal))
  }
  // The start of ffmpeg takes at most half of the long run, even when something disturbs the runs.
  return Math.max(leastLong - least, leastLong / 2) / (LONG_SECONDS - SHORT_SECONDS)
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
