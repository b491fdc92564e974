import type { KeyEstimate } from '#shared/assets/definition.ts'
import { keyName } from '#shared/audio/musical-keys.ts'
import { bestFit, type Fit } from './profile.ts'
import { type Section, sameKey, sectionOf, sectionsOf } from './sections.ts'
import { hearSegments, type KeyInput, type Segment } from './segments.ts'

/**
 * Minimum agreement on a tuning for a track to have a key. White, pink and brown noise, drums and speech stay
 * below 0.06 (monotonous speech in tones: 0.27); music other than drums is seldom below 0.1.
 */
const TONAL = 0.08
/**
 * The fit that chance gives: the best of 24 keys fits random pitch classes with 0.6 on average, and music with
 * 0.8 or more.
 */
const CHANCE = 0.68
/** From this fit on, a better fit does not make the key more likely to be right. */
const DEFAULT_FIT = 0.8

/**
 * Estimates the key of a track, its probability, the tuning, and the keys of the track's sections. Blocks its
 * thread for about 0.05 s per minute of audio.
 */
export function estimateKey(input: KeyInput): KeyEstimate {
  const { segments, deviation, agreement } = hearSegments(input)
  if (agreement < TONAL) return noKey('no tones')
  const sections = sectionsOf(segments).filter(({ found }) => found.fit >= CHANCE)
  const main = mainSection(segments, sections)
  if (!main) return noKey('no key')
  return {
    ...keyName(main.found.pitchClass, main.found.scale),
    confidence: confidence(main, segments),
    tuningHz: Number((440 * 2 ** (deviation / 12)).toFixed(1)),
    keyOverTime: sections.map((section) => {
      const { key, camelot } = keyName(section.found.pitchClass, section.found.scale)
      const from = rounded((segments[section.first] as Segment).from)
      const to = rounded((segments[section.end - 1] as Segment).to)
      return { from, to, key, camelot, confidence: confidence(section, segments) }
    }),
  }
}

/** The estimate of a track without a key. */
export function noKey(reason: string): KeyEstimate {
  return {
    tonic: null,
    scale: null,
    key: null,
    camelot: null,
    openKey: null,
    confidence: 0,
    tuningHz: null,
    keyOverTime: [],
    reason,
  }
}

function confidence({ first, end, found }: Section, segments: readonly Segment[]): number {
  const own = segments.slice(first, end).filter(({ classes }) => classes.some((x) => x > 0))
  const kept = own.filter(({ classes }) => sameKey(bestFit(classes), found)).length / own.length
  return rounded(keyProbability(found, kept))
}

/**
 * The probability, 0 to 1, that a key is exactly right. It depends on how much worse the next best key fits,
 * and on the share of segments that are in this key by themselves (logistic regression on 200 development
 * tracks). Those tracks all fit well; for a worse fit the probability is reduced in proportion, down to the fit
 * of chance.
 */
export function keyProbability(
  { fit, margin }: Pick<Fit, 'fit' | 'margin'>,
  kept: number,
): number {
  const probability = 1 / (1 + Math.exp(0.22 - 22 * margin - 1.29 * kept))
  const usual = (fit - CHANCE) / (DEFAULT_FIT - CHANCE)
  return probability * Math.max(0, Math.min(1, usual))
}

/**
 * The section that gives the track its key: the whole track or, if that fits no key because the key changes,
 * the longest section. Undefined unless most of the track lies in sections that have a key.
 */
function mainSection(
  segments: readonly Segment[],
  sections: readonly Section[],
): Section | undefined {
  const whole = sectionOf(segments, 0, segments.length)
  if (whole.found.fit >= CHANCE) return whole
  const lengths = sections.map(({ first, end }) => end - first)
  const keyed = lengths.reduce((sum, length) => sum + length, 0)
  if (keyed < segments.length / 2) return undefined
  return sections[lengths.indexOf(Math.max(...lengths))]
}

function rounded(value: number): number {
  return Number(value.toFixed(2))
}
