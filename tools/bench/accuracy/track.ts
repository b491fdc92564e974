import type { KeyEstimate, TempoEstimate } from '#shared/assets/definition.ts'
import { SAMPLE_RATE } from '#shared/contracts/pcm-format.ts'
import {
  judgeKey,
  judgeTempo,
  KEY_SCORES,
  type KeyRelation,
  type TempoVerdict,
} from './measures.ts'
import type { Truth } from './truth.ts'

/** One file: what was estimated, what is true, and how they compare. One element of `files` in the JSON. */
export interface Track {
  readonly file: string
  /** The part of the file's name before the first `-`; null without one. */
  readonly kind: string | null
  /** Length as read, s; null when the file could not be read. */
  readonly seconds: number | null
  readonly bpm: number | null
  readonly bpmConfidence: number
  readonly bpmReason: string | null
  readonly key: string | null
  readonly camelot: string | null
  readonly keyConfidence: number
  readonly keyReason: string | null
  readonly tuningHz: number | null
  /** Why the file could not be read; null when it was. */
  readonly error: string | null
  readonly truth: { readonly bpm: number | null; readonly key: string | null }
  /** The verdicts; null where the truth is not known. */
  readonly verdict: {
    readonly tempo: TempoVerdict | null
    readonly key: { readonly relation: KeyRelation; readonly score: number } | null
  }
}

export interface Estimates {
  readonly samples: number
  readonly tempo: TempoEstimate
  readonly key: KeyEstimate
}

/** Judges a file. A file with an error instead of estimates counts as a miss in every measure. */
export function judge(truth: Truth, estimates: Estimates | Error): Track {
  const read = estimates instanceof Error ? undefined : estimates
  const { tempo, key } = read ?? {}
  const relation = truth.key && judgeKey(key ?? { tonic: null, scale: null }, truth.key)
  return {
    file: truth.file,
    kind: /^(.+?)-/.exec(truth.file)?.[1] ?? null,
    seconds: read ? Number((read.samples / SAMPLE_RATE).toFixed(3)) : null,
    bpm: tempo?.bpm ?? null,
    bpmConfidence: tempo?.confidence ?? 0,
    bpmReason: tempo?.reason ?? null,
    key: key?.key ?? null,
    camelot: key?.camelot ?? null,
    keyConfidence: key?.confidence ?? 0,
    keyReason: key?.reason ?? null,
    tuningHz: key?.tuningHz ?? null,
    error: estimates instanceof Error ? estimates.message.replace(/\s+/g, ' ') : null,
    truth: { bpm: truth.bpm ?? null, key: truth.key?.name ?? null },
    verdict: {
      tempo: truth.bpm === undefined ? null : judgeTempo(tempo?.bpm ?? null, truth.bpm),
      key: relation ? { relation, score: KEY_SCORES[relation] } : null,
    },
  }
}
