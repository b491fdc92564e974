import { type Evidence, sameButForOctave } from './tempo-metre.ts'

/** Where dance music crowds, BPM, and how steeply odds fall with the square of the octaves from it. */
const USUAL = 128
const RARER = 0.7
/**
 * What each piece of evidence adds to the logarithm of the odds of a tempo. Fitted once, by
 * regularised multinomial regression on tracks of known tempo: see docs/accuracy.md.
 */
const WEIGHTS: Readonly<Record<keyof Evidence, number>> = {
  beat: 0.55,
  half: 0.73,
  quarter: 0.49,
  sixth: 0.78,
  bar: 0.34,
  lowHalf: 0.86,
  repetition: 2.3,
  lowRepetition: 4.57,
}
/** The same for the consent of another opinion, 0 to 1. */
const CONSENT = 1.31

/** A tempo that a track may have, and what is known about it. */
export interface Candidate {
  readonly bpm: number
  readonly evidence: Evidence
}

export interface Ranked extends Candidate {
  /** The probability that this is the tempo, if it is one of the candidates. */
  readonly probability: number
}

/**
 * Ranks candidates by their probability, the likeliest first.
 * @param consent How far another opinion is for a tempo, 0 to 1.
 */
export function ranking(
  candidates: readonly Candidate[],
  consent: (bpm: number) => number,
): readonly Ranked[] {
  const odds = candidates.map(({ bpm, evidence }) => {
    let sum = CONSENT * consent(bpm) - RARER * Math.log2(bpm / USUAL) ** 2
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

/** The probability that `bpm` is right but for its octave. */
export function octaveFreeProbability(ranked: readonly Ranked[], bpm: number): number {
  return ranked
    .filter((other) => sameButForOctave(other.bpm, bpm))
    .reduce((sum, { probability }) => sum + probability, 0)
}
