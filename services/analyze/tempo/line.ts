import { sameButForOctave } from './metre.ts'
import { octaveFreeProbability, rankedTempos } from './odds.ts'
import { joined, type Piece } from './passage.ts'
import { pulseHeight, refineTempo } from './refine.ts'

/**
 * Tempos of adjacent passages that differ by less than this share are the same: half a minute cannot tell them
 * apart.
 */
const CONSTANT = 0.005
/** A passage keeps the track's tempo unless its probability in the passage is below this. */
const REFUTED = 0.1
/**
 * A passage also keeps the track's tempo if its pulses have at least this share of the best ones' height:
 * breaks and fills smear pulses.
 */
const AS_GOOD = 0.8
/** Minimum confidence of a passage with another tempo. Breaks and fills stay below it. */
const MIN_CONFIDENCE = 0.8

/** A stretch of constant tempo. */
export interface Section {
  readonly pieces: readonly Piece[]
  readonly bpm: number
  /** 0 to 1. */
  readonly confidence: number
}

/**
 * The tempo over time, as sections of constant tempo in the octave of `bpm`, the tempo of the whole track. A
 * passage without clear evidence of another tempo gets the track's tempo, so a break does not interrupt a
 * section. Never empty.
 */
export function tempoLine(pieces: readonly Piece[], bpm: number): readonly Section[] {
  const runs: Local[][] = []
  let open: Local[] = []
  for (const local of pieces.map((piece) => localTempo(piece, bpm))) {
    const tempo = tempoOf(open)
    if (tempo === undefined || local.bpm === undefined || constant(tempo, local.bpm)) {
      open.push(local)
    } else {
      runs.push(open)
      open = [local]
    }
  }
  runs.push(open)
  return runs.map((run) => {
    const withTempo = run.filter((local) => local.bpm !== undefined)
    const sure = withTempo.length > 0 ? withTempo : run
    const passages = run.map(({ piece }) => piece)
    return {
      pieces: passages,
      bpm: refineTempo(joined(passages).all, tempoOf(run) ?? bpm),
      confidence: mean(sure.map(({ confidence }) => confidence)),
    }
  })
}

function constant(a: number, b: number): boolean {
  return Math.abs(a / b - 1) < CONSTANT
}

interface Local {
  readonly piece: Piece
  /** Undefined if the passage has no clear tempo. */
  readonly bpm: number | undefined
  readonly confidence: number
}

function localTempo(piece: Piece, track: number): Local {
  const ranked = rankedTempos(piece)
  const kept = ranked.find(({ bpm }) => sameButForOctave(bpm, track))
  const best = kept && kept.probability >= REFUTED ? kept : ranked[0]
  if (!best) return { piece, bpm: undefined, confidence: 0 }
  const confidence = octaveFreeProbability(ranked, best.bpm)
  if (confidence < MIN_CONFIDENCE) return { piece, bpm: undefined, confidence }
  const octave = [1, 2, 0.5].reduce((a, b) =>
    distance(best.bpm * a, track) <= distance(best.bpm * b, track) ? a : b,
  )
  const bpm = refineTempo(piece.all, best.bpm * octave)
  const fits = pulseHeight(piece.all, track) >= AS_GOOD * pulseHeight(piece.all, bpm)
  return { piece, bpm: fits ? track : bpm, confidence }
}

function distance(a: number, b: number): number {
  return Math.abs(Math.log2(a / b))
}

/** The tempo of passages that agree: their median. */
function tempoOf(run: readonly Local[]): number | undefined {
  const tempos = run
    .flatMap(({ bpm }) => (bpm === undefined ? [] : [bpm]))
    .sort((a, b) => a - b)
  return tempos[tempos.length >> 1]
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
