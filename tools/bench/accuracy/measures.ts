import { pitchClassOf, type Scale } from '#shared/audio/musical-keys.ts'
import type { TrueKey } from './truth.ts'

/** How accurate an estimate of tempo is. */
export interface TempoVerdict {
  /** Within 4 % (Gouyon et al. 2006, Accuracy 1). */
  readonly accuracy1: boolean
  /** Within 4 % of the tempo, its double, half, triple or third (Accuracy 2). */
  readonly accuracy2: boolean
  readonly within1Percent: boolean
  /** Within 0.1 BPM. */
  readonly within01: boolean
  /** Its half, itself or its double is within 0.1 BPM. */
  readonly within01Octave: boolean
}

/** @param estimate Beats per minute; null for none, which is a miss throughout. */
export function judgeTempo(estimate: number | null, truth: number): TempoVerdict {
  const near = (multiple: number, share: number) =>
    estimate !== null && Math.abs(estimate / (truth * multiple) - 1) <= share
  const exact = (octave: number) =>
    estimate !== null && Math.abs(estimate * octave - truth) <= 0.1
  return {
    accuracy1: near(1, 0.04),
    accuracy2: [1, 2, 1 / 2, 3, 1 / 3].some((multiple) => near(multiple, 0.04)),
    within1Percent: near(1, 0.01),
    within01: exact(1),
    within01Octave: [1 / 2, 1, 2].some(exact),
  }
}

/** The relation of an estimated key to the true one. */
export type KeyRelation = 'exact' | 'fifth' | 'relative' | 'parallel' | 'other' | 'none'

/** The weights of MIREX's audio key detection. */
export const KEY_SCORES: Readonly<Record<KeyRelation, number>> = {
  exact: 1,
  fifth: 0.5,
  relative: 0.3,
  parallel: 0.2,
  other: 0,
  none: 0,
}

interface EstimatedKey {
  /** The tonic; null when no key was found. */
  readonly tonic: string | null
  readonly scale: Scale | null
}

/** Judges an estimated key. `fifth` is a fifth up or down. */
export function judgeKey({ tonic, scale }: EstimatedKey, truth: TrueKey): KeyRelation {
  if (tonic === null) return 'none'
  const apart = (pitchClassOf(tonic) - truth.pitchClass + 12) % 12
  if (scale === truth.scale) {
    return apart === 0 ? 'exact' : apart === 7 || apart === 5 ? 'fifth' : 'other'
  }
  if (apart === 0) return 'parallel'
  return apart === (truth.scale === 'major' ? 9 : 3) ? 'relative' : 'other'
}
