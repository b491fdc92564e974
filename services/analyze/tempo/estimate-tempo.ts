import type { TempoEstimate } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import type { Heard } from '../signal/listener.ts'
import { firstBeat } from './grid.ts'
import { type Section, tempoLine } from './line.ts'
import { sameButForOctave, sameTempo } from './metre.ts'
import { octaveFreeProbability, type Ranked, rankedTempos, ranking } from './odds.ts'
import { joined, type Piece, piecesOf } from './passage.ts'
import { pulses } from './presence.ts'
import { refineTempo } from './refine.ts'

/** Minimum probability of a tempo. Below it, the tempo is merely the best of many candidates, as with speech. */
const MIN_PROBABILITY = 0.3
/** Minimum probability of a tempo within a passage of half a minute, of which a track has many. */
const MIN_PROBABILITY_OF_PIECE = 0.8
/** Minimum number of windows that the second method evaluates. It stops there if the result is clear. */
const MIN_VOTES = 2
const CLEAR = 0.9
/** Maximum confidence of an estimate: of the tempos that seemed certain, a few in a thousand were wrong. */
const SUREST = 0.99

/** The input of `estimateTempo`. */
export type TempoInput = Pick<Heard, 'spans' | 'energies' | 'windows'>

/** The second method: returns the tempo of a window of 44.1 kHz mono. */
type Rhythm = (mono: Float32Array) => number

/**
 * Estimates the tempo of a track, its first beat, and its tempo over time. The tempo is the likeliest of the
 * tempos at which the onsets pulse, given how they pulse and what a second method finds. Blocks its thread for
 * about 20 ms per minute of audio, and for the second method.
 */
export function estimateTempo(
  { spans, energies, windows }: TempoInput,
  rhythm: Rhythm,
): TempoEstimate {
  const pieces = piecesOf(energies)
  const whole = joined(pieces)
  const own = pulses(whole) ? rankedTempos(whole) : []
  const one = likelihood(own) >= MIN_PROBABILITY
  // A mix may have a tempo at every moment and none as a whole.
  const ranked = one ? withVotes(own, windows, rhythm) : ofPieces(pieces)
  const best = ranked[0]
  if (!best) return noTempo(spans, 'no steady beat')
  const sections = tempoLine(pieces, refineTempo(whole.all, best.bpm))
  const main = longest(sections)
  const steady = one && sections.length === 1
  const bpm = round(main.bpm)
  return {
    bpm,
    confidence: probability(
      steady ? likelihood(ranked) : main.confidence * shareNear(main.bpm, sections),
    ),
    octaveConfidence: probability(best.probability / likelihood(ranked)),
    steady,
    firstBeatMs: steady ? firstBeatMs(spans, energies, bpm) : null,
    tempoOverTime: sections.map((section) => ({
      ...times(section.pieces, spans),
      bpm: round(section.bpm),
      confidence: probability(section.confidence),
    })),
    windows: spans.map(({ start, end }) => ({ from: seconds(start), to: seconds(end) })),
  }
}

/** The estimate of a track without a tempo. */
export function noTempo(spans: Heard['spans'], reason: string): TempoEstimate {
  return {
    bpm: null,
    confidence: 0,
    octaveConfidence: 0,
    steady: false,
    firstBeatMs: null,
    tempoOverTime: [],
    reason,
    windows: spans.map(({ start, end }) => ({ from: seconds(start), to: seconds(end) })),
  }
}

/** The probability that the likeliest tempo is right or an octave of the right one. */
function likelihood(ranked: readonly Ranked[]): number {
  return ranked[0] ? octaveFreeProbability(ranked, ranked[0].bpm) : 0
}

/** The tempos of the first passage that has one, if at least half of the passages have one; else none. */
function ofPieces(pieces: readonly Piece[]): readonly Ranked[] {
  const withTempo = pieces
    .filter(pulses)
    .map(rankedTempos)
    .filter((ranked) => likelihood(ranked) >= MIN_PROBABILITY_OF_PIECE)
  return 2 * withTempo.length >= pieces.length ? (withTempo[0] ?? []) : []
}

/** Runs the second method window by window, from the middle of the track outwards, until the result is clear. */
function withVotes(
  own: readonly Ranked[],
  windows: readonly Float32Array[],
  rhythm: Rhythm,
): readonly Ranked[] {
  const middle = (windows.length - 1) / 2
  const order = windows
    .map((window, i) => ({ window, off: Math.abs(i - middle) }))
    .sort((a, b) => a.off - b.off)
  const votes: number[] = []
  let ranked = own
  for (const { window } of order) {
    votes.push(rhythm(window))
    ranked = ranking(
      own,
      (bpm) => votes.filter((vote) => sameTempo(vote, bpm)).length / votes.length,
    )
    const [best] = ranked
    const clear =
      best &&
      best.probability >= CLEAR &&
      votes.every((vote) => sameButForOctave(vote, best.bpm))
    if (clear && votes.length >= MIN_VOTES) break
  }
  return ranked
}

/** The longest section. Its tempo is the tempo of the track. */
function longest(sections: readonly Section[]): Section {
  return sections.reduce((a, b) => (b.pieces.length > a.pieces.length ? b : a))
}

/** The share of the track whose tempo is about `bpm`. */
function shareNear(bpm: number, sections: readonly Section[]): number {
  const count = (of: readonly Section[]) =>
    of.reduce((sum, { pieces }) => sum + pieces.length, 0)
  return count(sections.filter((section) => sameTempo(section.bpm, bpm))) / count(sections)
}

/**
 * The time of the first beat, ms, from the first span that sounds. Nothing is known about the beats between
 * spans.
 */
function firstBeatMs(
  spans: Heard['spans'],
  energies: readonly Float32Array[],
  bpm: number,
): number | null {
  const index = energies.findIndex((energy) => energy.some((value) => value > 0))
  const energy = energies[index]
  const span = spans[index]
  if (!energy || !span) return null
  return Math.round(1000 * (span.start / SAMPLE_RATE + firstBeat(energy, bpm)))
}

function times(pieces: readonly Piece[], spans: Heard['spans']): { from: number; to: number } {
  const first = pieces[0] as Piece
  const last = pieces.at(-1) as Piece
  const at = (piece: Piece, time: number) =>
    Number(((spans[piece.span]?.start ?? 0) / SAMPLE_RATE + time).toFixed(1))
  return { from: at(first, first.from), to: at(last, last.to) }
}

function seconds(samples: number): number {
  return Number((samples / SAMPLE_RATE).toFixed(3))
}

function probability(value: number): number {
  return round(Math.min(SUREST, value))
}

function round(value: number): number {
  return Number(value.toFixed(2))
}
