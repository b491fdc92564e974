import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { MasterBytes } from './formats/byte-window.ts'
import {
  type CodedLayout,
  describeLayout,
  type FlacLayout,
  type Layout,
} from './formats/layout.ts'
import { overlongMpeg } from './formats/mpeg/length.ts'
import { MAX_CODED_SECONDS, mostStreamSamples } from './resample/cost.ts'
import { samplesAt44100 } from './resample/range.ts'
import { tooLong } from './resample/stream.ts'

export type MasterLimits = Pick<Config, 'max_hours' | 'max_channels' | 'max_rate_hz'>

/**
 * Checks a master against the limits of this deployment. A stream whose header gives no length is stopped in
 * `conversion.ts` when it exceeds the limit.
 * @throws PermanentError OVER_LIMITS
 */
export function checkLimits(layout: Layout, limits: MasterLimits): void {
  const { max_hours, max_channels, max_rate_hz } = limits
  const { channels, rate } = layout
  const hours = secondsOf(layout) / 3600
  const wrong =
    channels > max_channels
      ? `${channels} channels; at most ${max_channels} (max_channels) are taken`
      : rate > max_rate_hz
        ? `${rate} Hz; at most ${max_rate_hz} (max_rate_hz) are taken`
        : hours > max_hours
          ? `${hours.toFixed(2)} hours; at most ${max_hours} (max_hours) are taken`
          : undefined
  if (wrong === undefined) return
  throw new PermanentError('OVER_LIMITS', `${describeLayout(layout)}: ${wrong}`)
}

/**
 * Maximum length of a stream, samples: what one step can still reach, and at most `max_hours` of this deployment.
 * @param coreSlowdown how many times slower than the reference a core is
 */
export function mostStreamLength(
  layout: CodedLayout,
  { max_hours }: Pick<MasterLimits, 'max_hours'>,
  coreSlowdown: number,
): number {
  const taken = Math.round(max_hours * 3600) * SAMPLE_RATE
  return Math.min(mostStreamSamples(layout, coreSlowdown), taken)
}

/**
 * Checks the length of a stream, if its header or the number of its frames tells it.
 * @param most the maximum, samples
 * @throws PermanentError TOO_LONG_TO_STAGE
 */
export async function checkStreamLength(
  layout: CodedLayout,
  most: number,
  file: MasterBytes,
  signal: AbortSignal,
): Promise<void> {
  checkSeconds(layout, most, layout.seconds ?? 0)
  const seconds = await overlongMpeg(layout, file, most / SAMPLE_RATE, signal)
  checkSeconds(layout, most, seconds ?? 0)
}

/** Checks the length of a FLAC that has to be converted. @throws PermanentError TOO_LONG_TO_STAGE */
export function checkFlacLength(layout: FlacLayout): void {
  checkSeconds(layout, MAX_CODED_SECONDS * SAMPLE_RATE, layout.samples / layout.rate)
}

function checkSeconds(layout: Layout, most: number, seconds: number): void {
  if (seconds * SAMPLE_RATE > most + SAMPLE_RATE) throw tooLong(layout, most, seconds)
}

/** The length by the header, seconds; 0 if the header gives none. */
function secondsOf(layout: Layout): number {
  if (layout.kind !== 'coded') return samplesAt44100(layout) / SAMPLE_RATE
  return layout.seconds ?? 0
}
