import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { BUDGET_MS } from '#shared/contracts/stages.ts'
import type { CodedLayout, FlacLayout, Layout } from '../formats/layout.ts'
import { PART_SAMPLES } from './part-writer.ts'
import { isPeriodic, type SeekableLayout, samplesAt44100 } from './range.ts'

/** Maximum length of a compressed master, seconds. */
export const MAX_CODED_SECONDS = 3600

/** The cost of a conversion on one full core of the reference, core-milliseconds, including Node's share. */
interface StageCost {
  readonly fixedMs: number
  /** Per second of audio that is decoded and discarded. */
  readonly skipMs: number
  /** Per second of audio that is produced, decoding included. */
  readonly makeMs: number
}

/** The target of a step, ms, and how many times slower than the reference the route's cores are. */
interface Pace {
  readonly targetMs: number
  readonly coreSlowdown: number
}

/** Core-milliseconds, measured with other work on the machine, so rather too high: docs/reference/performance.md. */
const FIXED_MS = 250
/** Rounding, writing and reading of the result, per second of its 44.1 kHz stereo, whatever the master. */
const OUT_MS = 3
/** Per 100,000 numbers (samples times channels) that are mixed; the next one, that are resampled. */
const MIX_MS = 0.6
const RESAMPLE_MS = 2
/** Per MB of the master that is read. */
const READ_MS = 3.8
/** Per 100,000 numbers that are decoded, by decoder. */
const DECODE_MS: Record<string, number> = {
  flac: 2.2,
  mp3: 2,
  mp2: 2,
  mp1: 2,
  aac: 1.8,
  alac: 4.2,
  vorbis: 2,
  opus: 3.5,
}
const OTHER_DECODER_MS = 1.5
/** Per 100,000 numbers that are decoded a second time for their MD5. */
const MD5_MS = 2.7
/** Per second of a rate whose parts are converted one by one: a new ffmpeg, and the samples before and behind. */
const APART_MS = 5

/** The cost of converting a master. */
export function stageCost(layout: Layout): StageCost {
  const { rate, channels } = layout
  const numbers = (rate * channels) / 100_000
  const isResampled = rate !== SAMPLE_RATE
  const resampled = (rate * 2) / 100_000
  const convert = numbers * MIX_MS + (isResampled ? resampled * RESAMPLE_MS : 0) + OUT_MS
  const apart = isPeriodic(rate) ? 0 : APART_MS
  if (layout.kind === 'pcm') {
    const read = ((rate * channels * layout.bits) / 8e6) * READ_MS
    return { fixedMs: FIXED_MS, skipMs: 0, makeMs: read + convert + apart }
  }
  const decoder = layout.kind === 'flac' ? 'flac' : layout.decoder
  const decode = numbers * (DECODE_MS[decoder] ?? OTHER_DECODER_MS)
  // A FLAC is decoded a second time for its MD5.
  const verified = layout.kind === 'flac' ? numbers * MD5_MS : 0
  return { fixedMs: FIXED_MS, skipMs: decode, makeMs: decode + verified + convert + apart }
}

/** The cost of comparing the MD5 of a whole FLAC, core-milliseconds. */
export function md5Cost({ samples, rate, channels }: FlacLayout): number {
  return FIXED_MS + (((samples / rate) * (rate * channels)) / 100_000) * MD5_MS
}

interface RangePlan {
  readonly samples: number
  readonly partSamples: number
  /** Number of samples that each step makes: whole parts. The last step makes the rest. */
  readonly stepSamples: number
}

/** Cuts the conversion of a master into steps that cost about `targetMs` at most. */
export function planRanges(
  layout: SeekableLayout,
  { targetMs, coreSlowdown }: Pace,
): RangePlan {
  const { fixedMs, makeMs } = stageCost(layout)
  const samples = samplesAt44100(layout)
  const affordable = Math.max(1, Math.floor((targetMs / coreSlowdown - fixedMs) / makeMs))
  const partSamples = Math.min(PART_SAMPLES, affordable * SAMPLE_RATE)
  const parts = Math.ceil(samples / partSamples)
  const most = Math.max(1, Math.floor((affordable * SAMPLE_RATE) / partSamples))
  // Spread the parts evenly: five parts in steps of two would leave a step of one.
  const each = Math.ceil(parts / Math.ceil(parts / most))
  return { samples, partSamples, stepSamples: each * partSamples }
}

/**
 * Maximum length of a stream, samples. A step has to decode everything before its part and then make the part
 * within the budget.
 */
export function mostStreamSamples(layout: CodedLayout, coreSlowdown: number): number {
  const { fixedMs, skipMs, makeMs } = stageCost(layout)
  const partMs = (makeMs * PART_SAMPLES) / SAMPLE_RATE
  const reach = Math.floor((BUDGET_MS / coreSlowdown - fixedMs - partMs) / skipMs)
  return Math.max(60, Math.min(MAX_CODED_SECONDS, reach)) * SAMPLE_RATE
}

/**
 * Returns a function that decides, whenever a part of a stream has been made, whether the step has time for
 * another one like it. The step has until the target. If decoding what precedes its parts took half of that, it
 * has two thirds more (by default, up to the budget), because each further step would decode that again.
 * @param start the first sample of the step
 * @param targetMs the target of a step, ms
 * @param spentMs returns the step's own time so far, ms
 */
export function pacing(start: number, targetMs: number, spentMs: () => number): () => boolean {
  let before = start === 0 ? 0 : undefined
  let mostMs = targetMs
  return () => {
    const spent = spentMs()
    if (before === undefined && spent > targetMs / 2) mostMs = (targetMs * 5) / 3
    const partMs = spent - (before ?? spent)
    before = spent
    return spent + partMs <= mostMs
  }
}
