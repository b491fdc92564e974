import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { BUDGET_MS } from '#shared/contracts/stages.ts'
import type { CodedLayout, FlacLayout, Layout } from '../formats/layout.ts'
import { isPeriodic, PART_SAMPLES, type SeekableLayout, samplesAt44100 } from './range.ts'

/** How long a master may be that can only be decoded from its beginning, and one that is compressed at all, seconds. */
export const MAX_CODED_SECONDS = 3600

/** What staging costs on one full core of the reference, core-milliseconds, Node's share included. */
interface StageCost {
  readonly fixedMs: number
  /** Per second of audio that is decoded and left out. */
  readonly skipMs: number
  /** Per second of audio that is made, decoding included. */
  readonly makeMs: number
}

/** How fast a site is, and how long its steps may take. */
interface Pace {
  readonly targetMs: number
  readonly factor: number
}

/** Measured with other work on the machine, so on the safe side: docs/performance.md. */
const FIXED_MS = 250
/** Rounding, writing, reading on: at 44.1 kHz stereo, whatever goes in. */
const OUT_MS = 3
/** Per 100,000 numbers (samples times channels) that are mixed, and that are resampled. */
const MIX_MS = 0.6
const RESAMPLE_MS = 2
/** Per MB that goes in. */
const READ_MS = 3.8
/** Per 100,000 numbers that are decoded. */
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
/** Per 100,000 numbers that are decoded once more for their MD5. */
const MD5_MS = 2.7
/** Of a rate whose parts are made one by one: starting anew, and what is read before and behind. */
const APART_MS = 5

/** What staging a master costs. */
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
  // A FLAC is decoded once more for its MD5.
  const verified = layout.kind === 'flac' ? numbers * MD5_MS : 0
  return { fixedMs: FIXED_MS, skipMs: decode, makeMs: decode + verified + convert + apart }
}

/** What it costs to compare the MD5 of a whole FLAC, core-milliseconds. */
export function md5Cost({ samples, rate, channels }: FlacLayout): number {
  return FIXED_MS + (((samples / rate) * (rate * channels)) / 100_000) * MD5_MS
}

interface RangePlan {
  readonly samples: number
  readonly partSamples: number
  /** Every step makes this many samples, whole parts; the last one fewer. */
  readonly stepSamples: number
}

/** Cuts the staging of a master into ranges that cost at most about the target each. */
export function planRanges(layout: SeekableLayout, { targetMs, factor }: Pace): RangePlan {
  const { fixedMs, makeMs } = stageCost(layout)
  const samples = samplesAt44100(layout)
  const affordable = Math.max(1, Math.floor((targetMs / factor - fixedMs) / makeMs))
  const partSamples = Math.min(PART_SAMPLES, affordable * SAMPLE_RATE)
  const parts = Math.ceil(samples / partSamples)
  const most = Math.max(1, Math.floor((affordable * SAMPLE_RATE) / partSamples))
  // Even steps: five parts at two apiece would leave a straggler of one.
  const each = Math.ceil(parts / Math.ceil(parts / most))
  return { samples, partSamples, stepSamples: each * partSamples }
}

/** How long a stream may be: what is before its last part has to be decoded within a step that makes that. */
export function mostStreamSamples(layout: CodedLayout, factor: number): number {
  const { fixedMs, skipMs, makeMs } = stageCost(layout)
  const partMs = (makeMs * PART_SAMPLES) / SAMPLE_RATE
  const reach = Math.floor((BUDGET_MS / factor - fixedMs - partMs) / skipMs)
  return Math.max(60, Math.min(MAX_CODED_SECONDS, reach)) * SAMPLE_RATE
}

/**
 * Says, whenever a part of a stream has been made, whether the step has time for another one like it. It has until
 * the target; where what is before its parts took half of that, two thirds longer (by default until the budget), for
 * each step decodes that anew.
 * @param start where the step begins
 * @param spentMs what it has spent so far, ms of its own time
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
