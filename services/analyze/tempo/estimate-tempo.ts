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

/** Less likely than this, a tempo is but the best of many: so it is with speech, not with music. */
const MIN_PROBABILITY = 0.3
/** The same of half a minute, of which there are many in a track. */
const MIN_PROBABILITY_OF_PIECE = 0.8
/** The second method is asked about so many windows at least, and no further when all is clear. */
const MIN_VOTES = 2
const CLEAR = 0.9
/** Of the tempos that seemed certain a few in a thousand were wrong: no estimate says more. */
const SUREST = 0.99

/** What `estimateTempo` takes of what was heard. */
export type TempoInput = Pick<Heard, 'spans' | 'energies' | 'windows'>

/** A second method: the tempo of a window of 44.1 kHz mono. */
type Rhythm = (mono: Float32Array) => number

/**
 * Estimates the tempo of a track, its first beat, and its tempo over time: the likeliest of the
 * tempos at which its onsets pulse, given how they do and what a second method says. Blocks its
 * thread for about 20 ms a minute of audio, and for the second method.
 */
export function estimateTempo(
  { spans, energies, windows }: TempoInput,
  rhythm: Rhythm,
): TempoEstimate {
  const pieces = piecesOf(energies)
  const whole = joined(pieces)
  const own = pulses(whole) ? rankedTempos(whole) : []
  const one = likelihood(own) >= MIN_PROBABILITY
  // A mix may have a tempo at any time, and none as a whole.
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

/** The probability that the likeliest tempo is right but for its octave. */
function likelihood(ranked: readonly Ranked[]): number {
  return ranked[0] ? octaveFreeProbability(ranked, ranked[0].bpm) : 0
}

/** The tempos of the first passage that has one, if half of them have; else none. */
function ofPieces(pieces: readonly Piece[]): readonly Ranked[] {
  const told = pieces
    .filter(pulses)
    .map(rankedTempos)
    .filter((ranked) => likelihood(ranked) >= MIN_PROBABILITY_OF_PIECE)
  return 2 * told.length >= pieces.length ? (told[0] ?? []) : []
}

/** Asks the second method window by window, from the middle of the track outwards, until all is clear. */
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

/** Of all sections the longest: its tempo is the track's. */
function longest(sections: readonly Section[]): Section {
  return sections.reduce((a, b) => (b.pieces.length > a.pieces.length ? b : a))
}

/** The share of the track that has about this tempo. */
function shareNear(bpm: number, sections: readonly Section[]): number {
  const count = (of: readonly Section[]) =>
    of.reduce((sum, { pieces }) => sum + pieces.length, 0)
  return count(sections.filter((section) => sameTempo(section.bpm, bpm))) / count(sections)
}

/** On the first span only: what was not heard between spans may hold any number of beats. */
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
