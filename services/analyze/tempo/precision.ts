import type { TempoEstimate } from '#shared/assets/definition.ts'
import { tempoDecimals } from '#shared/audio/tempo-decimals.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import { BANDS, ENERGY_RATE } from '../signal/envelope.ts'
import type { Heard } from '../signal/listener.ts'

/**
 * Standard error of the onset of a beat, seconds. Impulses are located within 2 ms; players, reverb and soft
 * attacks add to that.
 */
const ONSET_SECONDS = 0.005
/** Minimum energy at which a track sounds, as a share of the mean energy (−40 dB). */
const SOUNDING = 1e-4

/** A part of a track without a gap, seconds. */
interface Stretch {
  readonly from: number
  readonly to: number
}

/** Where each analyzed span begins and ends to sound. */
export function soundingStretches({
  spans,
  energies,
}: Pick<Heard, 'spans' | 'energies'>): readonly Stretch[] {
  return spans.flatMap(({ start }, i) => {
    const energy = energies[i] ?? new Float32Array()
    const mean = energy.reduce((sum, value) => sum + value, 0) / Math.max(1, energy.length)
    const sounds = (value: number) => value > SOUNDING * mean
    const first = energy.findIndex(sounds)
    if (first < 0) return []
    const at = (index: number) => start / SAMPLE_RATE + Math.trunc(index / BANDS) / ENERGY_RATE
    return [{ from: at(first), to: at(energy.findLastIndex(sounds) + BANDS) }]
  })
}

/** Rounds an estimate to the decimals that the length of the analyzed sound supports. */
export function withPrecision(
  estimate: TempoEstimate,
  sounding: readonly Stretch[],
): TempoEstimate {
  if (estimate.bpm === null) return estimate
  const error = (bpm: number, within: readonly Stretch[]) =>
    tempoError(bpm, lengthsIn(sounding, within))
  const { bpm } = estimate
  // The longest section has the track's tempo.
  const own = estimate.tempoOverTime.filter((section) => section.bpm === bpm)
  const bpmError = error(bpm, own.length > 0 ? own : estimate.windows)
  return {
    ...estimate,
    bpm: rounded(bpm, bpmError),
    bpmError,
    tempoOverTime: estimate.tempoOverTime.map((section) => ({
      ...section,
      bpm: rounded(section.bpm, error(section.bpm, [section])),
    })),
  }
}

/**
 * The error of a tempo that is not exceeded in 95 % of cases, beats per minute: twice the standard error of the
 * slope of a straight line through the moments of the beats of all stretches, each with a phase of its own.
 * @param lengths lengths of the stretches, seconds
 */
export function tempoError(bpm: number, lengths: readonly number[]): number {
  const cubes = lengths.reduce((sum, seconds) => sum + seconds ** 3, 0)
  // n beats at moments known to σ: σ √(12 / n³) of a period, n = seconds × bpm / 60.
  const error = (2 * ONSET_SECONDS * Math.sqrt(12 * 60 * bpm)) / Math.sqrt(cubes)
  return Number(Math.min(bpm, error).toPrecision(2))
}

function lengthsIn(
  sounding: readonly Stretch[],
  within: readonly Stretch[],
): readonly number[] {
  return within.flatMap(({ from, to }) =>
    sounding
      .map((stretch) => Math.min(to, stretch.to) - Math.max(from, stretch.from))
      .filter((seconds) => seconds > 0),
  )
}

function rounded(bpm: number, error: number): number {
  return Number(bpm.toFixed(tempoDecimals(error)))
}
