import type { LETTER_STATES } from '../../contracts/api/dead-letter.ts'
import type { DeadLetter } from '../../frame/dead-letter.ts'
import { instant } from '../parameters.ts'

export type LetterState = (typeof LETTER_STATES)[number]

/** A filter of letters. A letter has to match all given properties. */
export interface LetterFilter {
  readonly step?: string | undefined
  readonly code?: string | undefined
  /** An asset that the job requests. A job without a list of assets requests all. */
  readonly asset?: string | undefined
  readonly track?: string | undefined
  /** Only letters that were published before this time, ISO 8601. */
  readonly before?: string | undefined
}

/** A letter as lists show it. */
export interface KeptLetter {
  readonly id: string
  readonly published: Date
  readonly step: string
  readonly code: string
  readonly reason: string
  readonly attempt: number
  /** Null if there is no job in the letter, so that it cannot be redriven. */
  readonly job: {
    readonly id: string
    /** The run that failed. */
    readonly run: number
    readonly accepted: Date | null
    readonly request: NonNullable<DeadLetter['job']>['request']
  } | null
  readonly state: LetterState
  /** How it was settled; null while it is open. */
  readonly settled: Settlement | null
}

export type Settlement = {
  readonly at: Date
  /** The name of the operator. */
  readonly by: string
  /** The run as which it was redriven; null if it was discarded. */
  readonly run: number | null
  /** Why it was discarded; null if it was redriven. */
  readonly reason: string | null
}

/** The columns that `keptLetter` reads. */
export interface LetterColumns {
  readonly id: string
  readonly published_at: Date
  readonly step: string
  readonly code: string
  readonly reason: string
  readonly attempt: number
  readonly job: string | null
  readonly run: number
  readonly accepted_at: Date | null
  readonly request: NonNullable<KeptLetter['job']>['request']
  readonly state: LetterState
  readonly settled_at: Date | null
  readonly settled_by: string
  readonly redriven_run: number | null
  readonly discard_reason: string | null
}

/** A row as a letter. */
export function keptLetter(columns: LetterColumns): KeptLetter {
  const { id, step, code, reason, attempt, state, settled_at, job, accepted_at } = columns
  const { settled_by: by, redriven_run: run, discard_reason } = columns
  return {
    id,
    published: columns.published_at,
    step,
    code,
    reason,
    attempt,
    state,
    job:
      job === null
        ? null
        : {
            id: job,
            run: columns.run,
            accepted: accepted_at,
            request: columns.request,
          },
    settled: settled_at && { at: settled_at, by, run, reason: discard_reason },
  }
}

/** The values of a filter; undefined if nothing can match, because no text in the database contains a NUL. */
export function filterValues(filter: LetterFilter): (string | null)[] | undefined {
  const { step, code, asset, track, before } = filter
  const values = [step, code, asset, track].map((value) => value ?? null)
  if (values.some((value) => value?.includes('\0'))) return undefined
  return [...values, before === undefined ? null : instant(before)]
}

/** SQL for the columns that `keptLetter` reads. */
export const COLUMNS = `id, published_at, step, code, reason, attempt, job, run, accepted_at, request, state,
  settled_at, settled_by, redriven_run, discard_reason`

/** SQL for a filter, whose `filterValues` are the parameters 1 to 5. */
export const FILTER = `
  ($1::text is null or step = $1)
  and ($2::text is null or code = $2)
  and ($3::text is null or (request is not null
    and (request -> 'derivative_assets' is null or request -> 'derivative_assets' ? $3)))
  and ($4::text is null or request ->> 'asset_guid' = $4)
  and ($5::timestamptz is null or published_at < $5)`
