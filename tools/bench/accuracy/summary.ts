import type { KeyRelation, TempoVerdict } from './measures.ts'
import type { Track } from './track.ts'

/** A share with the number that it was counted from; null when that is 0. */
export interface Share {
  readonly ratio: number | null
  readonly missed: number
  readonly of: number
}

/**
 * The number of tracks with a confidence in [from, to), and the share of them that was right. The last band includes 1.
 */
export interface Band extends Share {
  readonly from: number
  readonly to: number
}

/**
 * The accuracy of sure estimates: the share of the tracks with a confidence ≥ `from`, and how many of those were right.
 */
export interface Coverage {
  readonly from: number
  readonly coverage: Share
  readonly right: Share
}

export type TempoSummary = Readonly<Record<keyof TempoVerdict, Share>>

export interface KeySummary {
  /** Mean score, MIREX's weights. */
  readonly weighted: number | null
  readonly exact: Share
  readonly relations: Readonly<Record<KeyRelation, number>>
}

export interface Figures {
  /** Number of files, those without truth included. */
  readonly files: number
  readonly unreadable: number
  readonly tempo: TempoSummary
  readonly key: KeySummary
}

export interface Summary extends Figures {
  readonly tempoConfidence: { readonly bands: readonly Band[]; readonly sure: Coverage }
  readonly keyConfidence: { readonly bands: readonly Band[]; readonly sure: Coverage }
  readonly kinds: Readonly<Record<string, Figures>>
  readonly audioMinutes: number
  /** User and system time of the process and its threads, ffmpeg's not included. */
  readonly coreSeconds: number
  readonly coreSecondsPerMinute: number | null
}

/** A confidence from here on counts as sure. */
const SURE = 0.8
const BAND_EDGES = [0, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

export function summarise(tracks: readonly Track[], coreSeconds: number): Summary {
  const audioMinutes = tracks.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0) / 60
  const kinds = [...new Set(tracks.flatMap(({ kind }) => kind ?? []))].toSorted()
  return {
    ...figures(tracks),
    tempoConfidence: confidence(
      tracks.flatMap(({ bpmConfidence, verdict: { tempo } }) =>
        tempo ? { confidence: bpmConfidence, right: tempo.accuracy2 } : [],
      ),
    ),
    keyConfidence: confidence(
      tracks.flatMap(({ keyConfidence, verdict: { key } }) =>
        key ? { confidence: keyConfidence, right: key.relation === 'exact' } : [],
      ),
    ),
    kinds: Object.fromEntries(
      kinds.map((kind) => [kind, figures(tracks.filter((track) => track.kind === kind))]),
    ),
    audioMinutes,
    coreSeconds,
    coreSecondsPerMinute: audioMinutes > 0 ? coreSeconds / audioMinutes : null,
  }
}

/** The measures of tempo over any number of verdicts. */
export function summariseTempo(verdicts: readonly TempoVerdict[]): TempoSummary {
  const of = (measure: keyof TempoVerdict) => share(verdicts.map((verdict) => verdict[measure]))
  return {
    accuracy1: of('accuracy1'),
    accuracy2: of('accuracy2'),
    within1Percent: of('within1Percent'),
    within01: of('within01'),
    within01Octave: of('within01Octave'),
  }
}

/** The measures of key over any number of verdicts. */
export function summariseKey(
  verdicts: readonly { readonly relation: KeyRelation; readonly score: number }[],
): KeySummary {
  const count = (wanted: KeyRelation) =>
    verdicts.filter(({ relation }) => relation === wanted).length
  const scores = verdicts.reduce((sum, { score }) => sum + score, 0)
  return {
    weighted: verdicts.length > 0 ? scores / verdicts.length : null,
    exact: share(verdicts.map(({ relation }) => relation === 'exact')),
    relations: {
      exact: count('exact'),
      fifth: count('fifth'),
      relative: count('relative'),
      parallel: count('parallel'),
      other: count('other'),
      none: count('none'),
    },
  }
}

function figures(tracks: readonly Track[]): Figures {
  return {
    files: tracks.length,
    unreadable: tracks.filter(({ error }) => error !== null).length,
    tempo: summariseTempo(tracks.flatMap(({ verdict }) => verdict.tempo ?? [])),
    key: summariseKey(tracks.flatMap(({ verdict }) => verdict.key ?? [])),
  }
}

interface Judged {
  readonly confidence: number
  readonly right: boolean
}

function confidence(judged: readonly Judged[]): { bands: readonly Band[]; sure: Coverage } {
  const bands = BAND_EDGES.slice(1).map((to, i) => {
    const from = BAND_EDGES[i] as number
    const inside = judged.filter(
      (each) => each.confidence >= from && (each.confidence < to || to === 1),
    )
    return { from, to, ...share(inside.map(({ right }) => right)) }
  })
  const sure = judged.filter((each) => each.confidence >= SURE)
  return {
    bands,
    sure: {
      from: SURE,
      coverage: share(judged.map((each) => each.confidence >= SURE)),
      right: share(sure.map(({ right }) => right)),
    },
  }
}

function share(hits: readonly boolean[]): Share {
  const missed = hits.filter((hit) => !hit).length
  const of = hits.length
  return { ratio: of > 0 ? (of - missed) / of : null, missed, of }
}
