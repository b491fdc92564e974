import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { Config } from '#shared/frame/settings.ts'
import { describeLayout, type Layout } from './formats/layout.ts'
import { samplesAt44100 } from './resample/range.ts'

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

/** The length by the header, seconds; 0 if the header gives none. */
function secondsOf(layout: Layout): number {
  if (layout.kind !== 'coded') return samplesAt44100(layout) / SAMPLE_RATE
  return layout.seconds ?? 0
}
