import { SAMPLE_RATE } from '#shared/audio/pcm.ts'
import type { TempoEstimate } from '#shared/derivative.ts'
import type { Heard } from './signal.ts'
import { evenness } from './tempo-accent.ts'
import { accentEnvelope, onsetEnvelope } from './tempo-envelope.ts'
import { candidateTempos, prominence, pulsation, repetition, usualness } from './tempo-metre.ts'
import { pulseSpectrum } from './tempo-pulse.ts'
import { refineTempo } from './tempo-refine.ts'

/** How many tempos are followed up. */
const CANDIDATES = 8
/** Standard deviations above noise below which nobody would tap along: noise seldom reaches 3. */
const LEAST_PROMINENCE = 5
/** Root mean square of an onset envelope below which nothing sets in: a held note has 0.01, noise 0.2. */
const LEAST_ONSETS = 0.05
/** Two tempos are the same within 4 %, as is usual when tempo estimates are judged. */
const SAME = 0.04
/** What a candidate keeps of its score if its bars do not repeat at all. */
const UNREPEATED = 0.3
/** Evenness of odd and even beats from which on a tempo loses nothing, and what it keeps at worst. */
const EVEN = 0.5
const UNEVEN = 0.6
/** What the second method's consent adds to a score: enough to settle a tie. */
const CONSENT = 0.25

/** What `estimateTempo` takes of what was heard. */
export type TempoInput = Pick<Heard, 'spans' | 'energies' | 'windows'>

/**
 * Estimates the tempo of a track: where the pulses of its onsets peak, how usual that tempo is,
 * whether its bars come round, whether every beat is one, and whether a second method consents. Section 12 of DESIGN.md has
 * the figures. Blocks its thread for about 15 ms a minute of audio, and for the second method.
 * @param rhythm A second method: the tempo of a window of 44.1 kHz mono.
 */
export function estimateTempo(
  { spans, energies, windows }: TempoInput,
  rhythm: (mono: Float32Array) => number,
): TempoEstimate {
  const envelopes = energies.map(onsetEnvelope)
  const accents = energies.map(accentEnvelope)
  const { strength, segments } = pulseSpectrum(envelopes)
  const candidates = candidateTempos(strength, CANDIDATES)
  const clearest = Math.max(0, ...candidates.map((bpm) => pulsation(strength, bpm)))
  if (onsets(envelopes) < LEAST_ONSETS || prominence(clearest, segments) < LEAST_PROMINENCE) {
    return noTempo(spans, 'no steady beat')
  }
  const votes = windows.map(rhythm)
  const ranked = candidates
    .map((coarse) => {
      const bpm = refineTempo(envelopes, coarse)
      const consent = votes.filter((vote) => sameButForOctave(vote, bpm)).length / votes.length
      const score =
        pulsation(strength, bpm) *
        usualness(bpm) *
        (UNREPEATED + Math.max(0, repetition(envelopes, bpm))) *
        Math.max(UNEVEN, Math.min(1, evenness(accents, bpm) / EVEN)) *
        (1 + CONSENT * consent)
      return { bpm, consent, score }
    })
    .sort((a, b) => b.score - a.score)
  const best = ranked[0]
  if (!best) return noTempo(spans, 'no steady beat')
  const rival = ranked.find(({ bpm }) => !sameButForOctave(bpm, best.bpm))
  return {
    bpm: round(best.bpm),
    confidence: round(confidence(best.consent, (rival?.score ?? 0) / best.score)),
    windows: seconds(spans),
  }
}

/** The estimate of a track without a tempo. */
export function noTempo(spans: Heard['spans'], reason: string): TempoEstimate {
  return { bpm: null, confidence: 0, reason, windows: seconds(spans) }
}

/**
 * How far to trust a tempo, but for its octave.
 * @param consent The share of windows in which the second method agreed.
 * @param rivalry The runner-up's score, as a share of the winner's.
 */
function confidence(consent: number, rivalry: number): number {
  return (0.5 + 0.5 * consent) * (1 - 0.5 * rivalry ** 2)
}

function onsets(envelopes: readonly Float32Array[]): number {
  let squares = 0
  let frames = 0
  for (const envelope of envelopes) {
    for (const onset of envelope) squares += onset * onset
    frames += envelope.length
  }
  return Math.sqrt(squares / Math.max(1, frames))
}

function sameButForOctave(a: number, b: number): boolean {
  return [0.5, 1, 2].some((octave) => Math.abs((a * octave) / b - 1) < SAME)
}

function seconds(spans: Heard['spans']): TempoEstimate['windows'] {
  return spans.map(({ start, end }) => ({
    from: Number((start / SAMPLE_RATE).toFixed(3)),
    to: Number((end / SAMPLE_RATE).toFixed(3)),
  }))
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
