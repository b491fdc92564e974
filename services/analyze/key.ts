import type { KeyEstimate } from '#shared/derivative.ts'
import { keyName } from '#shared/music.ts'
import { bestFit } from './key-profile.ts'
import { hearSegments, type KeyInput, type Segment } from './key-segments.ts'
import { type Stretch, sameKey, stretchesOf, stretchOf } from './key-stretches.ts'

/**
 * Below this agreement on a tuning there are no tones to make a key of. White, pink and brown noise, drums and
 * speech stay below 0.06 (monotonous speech in tones, 0.27), music with anything but drums is seldom below 0.1.
 */
const TONAL = 0.08
/** The best of 24 keys fits chance about as well as this: random pitch classes 0.6 in the mean, music 0.8 and more. */
const CHANCE = 0.68
/** From here on the fit says nothing about whether the key is right. */
const USUAL_FIT = 0.8

/**
 * Estimates the key of a track, how far to trust it, its tuning, and the keys of its parts. Blocks its thread for
 * about 0.05 s a minute of audio.
 */
export function estimateKey(input: KeyInput): KeyEstimate {
  const { segments, deviation, agreement } = hearSegments(input)
  if (agreement < TONAL) return noKey('no tones')
  const stretches = stretchesOf(segments).filter(({ found }) => found.fit >= CHANCE)
  const main = mainStretch(segments, stretches)
  if (!main) return noKey('no key')
  return {
    ...keyName(main.found.pitchClass, main.found.scale),
    confidence: confidence(main, segments),
    tuningHz: Number((440 * 2 ** (deviation / 12)).toFixed(1)),
    keyOverTime: stretches.map((stretch) => {
      const { key, camelot } = keyName(stretch.found.pitchClass, stretch.found.scale)
      const from = rounded((segments[stretch.first] as Segment).from)
      const to = rounded((segments[stretch.end - 1] as Segment).to)
      return { from, to, key, camelot, confidence: confidence(stretch, segments) }
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

/**
 * The probability that a key is exactly right: by how much the next best key fits worse, and by the share of the
 * segments that are in the same key by themselves (logistic regression on 100 development tracks). Those all fit
 * well: what does not, down to what chance fits, deserves less in proportion.
 */
function confidence({ first, end, found }: Stretch, segments: readonly Segment[]): number {
  const own = segments.slice(first, end)
  const kept = own.filter(({ classes }) => sameKey(bestFit(classes), found)).length / own.length
  const probability = 1 / (1 + Math.exp(0.22 - 22 * found.margin - 1.29 * kept))
  const usual = (found.fit - CHANCE) / (USUAL_FIT - CHANCE)
  return Number((probability * Math.max(0, Math.min(1, usual))).toFixed(2))
}

/**
 * The whole track. One that changes key may fit none as a whole: then its longest stretch, if most of the track
 * lies in stretches that have a key; else undefined.
 */
function mainStretch(
  segments: readonly Segment[],
  stretches: readonly Stretch[],
): Stretch | undefined {
  const whole = stretchOf(segments, 0, segments.length)
  if (whole.found.fit >= CHANCE) return whole
  const lengths = stretches.map(({ first, end }) => end - first)
  const keyed = lengths.reduce((sum, length) => sum + length, 0)
  if (keyed < segments.length / 2) return undefined
  return stretches[lengths.indexOf(Math.max(...lengths))]
}

function rounded(seconds: number): number {
  return Number(seconds.toFixed(2))
}
