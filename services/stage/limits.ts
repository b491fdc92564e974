import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { Config } from '#shared/frame/config.ts'
import { describeLayout, type Layout } from './formats/layout.ts'
import { samplesAt44100 } from './resample/range.ts'

export type MasterLimits = Pick<Config, 'max_hours' | 'max_channels' | 'max_rate'>

/**
 * Holds a master against what this deployment takes. A stream whose header is silent about its length is
 * stopped where it passes the limit (`conversion.ts`).
 * @throws PermanentError OVER_LIMITS
 */
export function checkLimits(layout: Layout, limits: MasterLimits): void {
  const { max_hours, max_channels, max_rate } = limits
  const { channels, rate } = layout
  const hours = secondsOf(layout) / 3600
  const wrong =
    channels > max_channels
      ? `${channels} channels; at most ${max_channels} (max_channels) are taken`
      : rate > max_rate
        ? `${rate} Hz; at most ${max_rate} (max_rate) are taken`
        : hours > max_hours
          ? `${hours.toFixed(2)} hours; at most ${max_hours} (max_hours) are taken`
          : undefined
  if (wrong === undefined) return
  throw new PermanentError('OVER_LIMITS', `${describeLayout(layout)}: ${wrong}`)
}

/** As the header says; 0 where it says nothing. */
function secondsOf(layout: Layout): number {
  if (layout.kind !== 'coded') return samplesAt44100(layout) / SAMPLE_RATE
  return layout.seconds ?? 0
}
