import { candidateTempos, type Evidence, evidenceFor, sameButForOctave } from './metre.ts'
import type { Passage } from './passage.ts'

/**
 * The prior of dance music: a log-normal distribution around this BPM, with a deviation in octaves. It was set
 * in advance, not fitted.
 */
const USUAL = 128
const OCTAVES = 0.6
/**
 * What each piece of evidence adds to the logarithm of the odds of a tempo. Fitted once, by
 * regularised multinomial regression on tracks of known tempo: see docs/reference/accuracy.md.
 */
const WEIGHTS: Readonly<Record<keyof Evidence, number>> = {
  beat: 0.52,
  half: 0.38,
  quarter: 1.44,
  sixth: 0.51,
  bar: 0.84,
  repetition: 1.37,
  lowRepetition: 5.89,
}
/** The weight of the second method's consent, 0 to 1. */
const CONSENT = 1.22

/** A possible tempo of a track, with its evidence. */
interface Candidate {
  readonly bpm: number
  readonly evidence: Evidence
}

export interface Ranked extends Candidate {
  /** The probability that this is the tempo, given that one of the candidates is. */
  readonly probability: number
}

/** The possible tempos of a passage by its own evidence, the likeliest first. */
export function rankedTempos(passage: Passage): readonly Ranked[] {
  const candidates = candidateTempos(passage.strength).map((bpm) => ({
    bpm,
    evidence: evidenceFor(passage, bpm),
  }))
  return ranking(candidates, () => 0)
}

/**
 * Ranks candidates by their probability, the likeliest first.
 * @param consent how much the second method supports a tempo, 0 to 1
 */
export function ranking(
  candidates: readonly Candidate[],
  consent: (bpm: number) => number,
): readonly Ranked[] {
  const odds = candidates.map(({ bpm, evidence }) => {
    let sum = CONSENT * consent(bpm) - 0.5 * (Math.log2(bpm / USUAL) / OCTAVES) ** 2
    for (const [name, weight] of Object.entries(WEIGHTS)) {
      sum += weight * evidence[name as keyof Evidence]
    }
    return sum
  })
  const highest = Math.max(...odds)
  const shares = odds.map((sum) => Math.exp(sum - highest))
  const total = shares.reduce((sum, share) => sum + share, 0)
  return candidates
    .map((candidate, i) => ({ ...candidate, probability: (shares[i] as number) / total }))
    .sort((a, b) => b.probability - a.probability || a.bpm - b.bpm)
}

/** The probability that `bpm` is right or an octave of the right tempo. */
export function octaveFreeProbability(ranked: readonly Ranked[], bpm: number): number {
  return ranked
    .filter((other) => sameButForOctave(other.bpm, bpm))
    .reduce((sum, { probability }) => sum + probability, 0)
}
