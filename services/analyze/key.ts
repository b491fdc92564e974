import type { KeyEstimate } from '#shared/derivative.ts'
import { keyName, pitchClassOf, type Scale } from '#shared/music.ts'

/** Parts of the track whose own keys are compared with that of the whole. */
const PARTS = 4

/** A key as some method finds it in a mono signal. */
export type KeyFinder = (mono: Float32Array) => {
  readonly key: string
  readonly scale: Scale
}

/**
 * Estimates the key of a track, and by how far a second method and the track's own quarters agree,
 * how far to trust it. Blocks its thread for about 0.1 s a minute of audio.
 * @param low The whole track as one signal, at a rate that the finders know.
 */
export function estimateKey(
  low: Float32Array,
  find: KeyFinder,
  secondOpinion: KeyFinder,
): KeyEstimate {
  const found = find(low)
  const whole = `${found.key} ${found.scale}`
  const agrees = (other: ReturnType<KeyFinder>) => `${other.key} ${other.scale}` === whole
  const second = agrees(secondOpinion(low))
  const parts = Array.from({ length: PARTS }, (_, i) =>
    find(
      low.subarray(
        Math.trunc((low.length * i) / PARTS),
        Math.trunc((low.length * (i + 1)) / PARTS),
      ),
    ),
  ).filter(agrees).length
  return {
    ...keyName(pitchClassOf(found.key), found.scale),
    confidence: confidence(second, parts / PARTS),
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
    reason,
  }
}

/**
 * How far to trust a key: where two profiles agreed, .84 were right; where not, .44 (section 12 of
 * DESIGN.md). A key that most of the track keeps deserves more, one that none of it has less.
 */
function confidence(second: boolean, parts: number): number {
  return Number(((second ? 0.84 : 0.44) + 0.3 * (parts - 0.5)).toFixed(2))
}
