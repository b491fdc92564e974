import { LETTER_STATES } from '../../contracts/api/dead-letter.ts'
import type { DeadLetter } from '../../frame/dead-letter.ts'
import type { Query } from '../database.ts'
import { clipped, instant, rows, whole } from '../parameters.ts'

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

/** A letter with its body and attributes. */
export interface WholeLetter extends KeptLetter {
  readonly message: string
  readonly attributes: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** The position at which a page of letters ended. */
export interface LetterCursor {
  /** ISO 8601. */
  readonly at: string
  readonly id: string
}

/**
 * How long a claim on a letter is valid, s. It is longer than publishing the letter takes, so that the process that
 * holds it has settled the letter by then, or has died.
 */
const CLAIM_SECONDS = 60

/** Stores a letter once, even if it is delivered several times. @returns whether it was new */
export async function keepLetter(query: Query, letter: DeadLetter): Promise<boolean> {
  const { id, message, published, step, code, reason, attempt, job, attributes, body } = letter
  const facts = {
    ...{ id, message: clipped(message, 128), published_at: published.toISOString() },
    ...{ step: clipped(step, 64), code: clipped(code, 64), reason, attempt: whole(attempt) },
    ...(job && { job: job.id, run: whole(job.run), request: job.request }),
    ...(job?.accepted && { accepted_at: instant(job.accepted) }),
  }
  // The attributes are a separate parameter: as `json` the database keeps them unchanged.
  const kept = await query(KEEP, [rows([facts]), body, JSON.stringify(attributes)])
  return kept.length > 0
}

/** The letters of a state, latest first. `limit`: 1 to 1,000. */
export async function letters(
  query: Query,
  state: LetterState | 'all',
  filter: LetterFilter,
  { limit, after }: { readonly limit: number; readonly after?: LetterCursor | undefined },
): Promise<{ readonly letters: readonly KeptLetter[]; readonly next?: LetterCursor }> {
  const size = Math.min(Math.max(Math.trunc(limit), 1), 1_000)
  const values = filterValues(filter)
  if (values === undefined) return { letters: [] }
  const from = after ? [instant(after.at), after.id] : [null, null]
  const found = await query<Columns>(LISTS[state], [...values, ...from, size + 1])
  const page = found.slice(0, size).map(keptLetter)
  const last = page.at(-1)
  if (found.length <= size || last === undefined) return { letters: page }
  return { letters: page, next: { at: last.published.toISOString(), id: last.id } }
}

/** The letters that `claimLetter` would claim next by a filter, in that order. `limit`: 1 to 1,000. */
export async function nextLetters(
  query: Query,
  filter: LetterFilter,
  limit: number,
): Promise<readonly KeptLetter[]> {
  const values = filterValues(filter)
  if (values === undefined) return []
  const size = Math.min(Math.max(Math.trunc(limit), 1), 1_000)
  return (await query<Columns>(NEXT, [...values, size])).map(keptLetter)
}

/** The number of open letters that match, with a job to redrive and without one. */
export async function countLetters(
  query: Query,
  filter: LetterFilter,
): Promise<{ readonly redrivable: number; readonly others: number }> {
  const values = filterValues(filter)
  if (values === undefined) return { redrivable: 0, others: 0 }
  const [found] = await query<{ redrivable: number; others: number }>(COUNT, values)
  return found ?? { redrivable: 0, others: 0 }
}

export async function letter(query: Query, id: string): Promise<WholeLetter | undefined> {
  if (id.includes('\0')) return undefined
  const [found] = await query<WholeColumns>(ONE, [id])
  if (found === undefined) return undefined
  const { message, attributes, body } = found
  return { ...keptLetter(found), message, attributes, body }
}

/**
 * Claims an open letter that is not claimed: the one with this id, or the oldest one with a job that matches the filter.
 * Undefined if there is none. Settle it or release it; the claim expires after 60 s.
 */
export async function claimLetter(
  query: Query,
  which: string | LetterFilter,
): Promise<KeptLetter | undefined> {
  if (typeof which === 'string') {
    return which.includes('\0') ? undefined : claimed(await query<Columns>(CLAIM, [which]))
  }
  const values = filterValues(which)
  return values && claimed(await query<Columns>(CLAIM_NEXT, values))
}

/** Settles a letter that was claimed. */
export async function settleLetter(
  query: Query,
  id: string,
  { by, run, reason }: Omit<Settlement, 'at'>,
): Promise<void> {
  const state: LetterState = run === null ? 'discarded' : 'redriven'
  await query(SETTLE, [rows([{ id, state, by, run, reason }])])
}

/** Releases a claim. */
export async function releaseLetter(query: Query, id: string): Promise<void> {
  await query(RELEASE, [id])
}

interface Columns {
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

interface WholeColumns extends Columns {
  readonly message: string
  readonly attributes: Record<string, string>
  readonly body: Buffer
}

function keptLetter(columns: Columns): KeptLetter {
  const { id, step, code, reason, attempt, state, settled_at, job, accepted_at } = columns
  const { settled_by: by, redriven_run: run, discard_reason } = columns
  return {
    ...{ id, published: columns.published_at, step, code, reason, attempt, state },
    job:
      job === null
        ? null
        : {
            ...{ id: job, run: columns.run, accepted: accepted_at, request: columns.request },
          },
    settled: settled_at && { at: settled_at, by, run, reason: discard_reason },
  }
}

function claimed([found]: readonly Columns[]): KeptLetter | undefined {
  return found && keptLetter(found)
}

/** The values of a filter; undefined if nothing can match, because no text in the database contains a NUL. */
function filterValues(filter: LetterFilter): (string | null)[] | undefined {
  const { step, code, asset, track, before } = filter
  const values = [step, code, asset, track].map((value) => value ?? null)
  if (values.some((value) => value?.includes('\0'))) return undefined
  return [...values, before === undefined ? null : instant(before)]
}

const COLUMNS = `id, published_at, step, code, reason, attempt, job, run, accepted_at, request, state,
  settled_at, settled_by, redriven_run, discard_reason`

const FILTER = `
  ($1::text is null or step = $1)
  and ($2::text is null or code = $2)
  and ($3::text is null or (request is not null
    and (request -> 'derivative_assets' is null or request -> 'derivative_assets' ? $3)))
  and ($4::text is null or request ->> 'asset_guid' = $4)
  and ($5::timestamptz is null or published_at < $5)`

/** A claim that ends later than any new one could was made before the clock was set back, and is ignored. */
const FREE = `state = 'open' and (claimed_until is null or claimed_until < now()
  or claimed_until > now() + make_interval(secs => ${2 * CLAIM_SECONDS}))`

const KEEP = {
  name: 'letter-keep',
  text: `
    insert into dead_letter (id, message, published_at, step, code, reason, attempt, job, run,
      accepted_at, request, body, attributes)
    select id, message, published_at, step, code, reason, attempt, job, run,
      accepted_at, request, $2, $3
    from json_to_recordset($1) as r (id text, message text, published_at timestamptz, step text,
      code text, reason text, attempt bigint, job text, run bigint, accepted_at timestamptz,
      request jsonb)
    on conflict (id) do nothing
    returning id`,
}

// A statement for each state, so that each one can use its index.
const LISTS = Object.fromEntries(
  [...LETTER_STATES, 'all' as const].map((state) => [
    state,
    {
      name: `letters-${state}`,
      text: `
        select ${COLUMNS} from dead_letter
        where ${state === 'all' ? 'true' : `state = '${state}'`} and ${FILTER}
          and ($6::timestamptz is null or (published_at, id) < ($6, $7))
        order by published_at desc, id desc
        limit $8`,
    },
  ]),
) as Record<LetterState | 'all', { name: string; text: string }>

const COUNT = {
  name: 'letters-count',
  text: `
    select count(*) filter (where request is not null) as redrivable,
      count(*) filter (where request is null) as others
    from dead_letter where state = 'open' and ${FILTER}`,
}

const ONE = {
  name: 'letter-by-id',
  text: `select ${COLUMNS}, message, attributes, body from dead_letter where id = $1`,
}

const WAITING = `
  from dead_letter
  where ${FREE} and request is not null and ${FILTER}
  order by published_at, id`

const NEXT = { name: 'letters-next', text: `select ${COLUMNS} ${WAITING} limit $6` }

const CLAIMING = `
  update dead_letter set claimed_until = now() + make_interval(secs => ${CLAIM_SECONDS})`

const CLAIM = {
  name: 'letter-claim',
  text: `${CLAIMING} where id = $1 and ${FREE} returning ${COLUMNS}`,
}

const CLAIM_NEXT = {
  name: 'letter-claim-next',
  text: `${CLAIMING}
    where id = (select id ${WAITING} limit 1 for update skip locked)
    returning ${COLUMNS}`,
}

const SETTLE = {
  name: 'letter-settle',
  text: `
    update dead_letter set state = r.state, settled_at = now(), settled_by = r.by,
      redriven_run = r.run, discard_reason = r.reason, claimed_until = null
    from json_to_recordset($1) as r (id text, state text, by text, run bigint, reason text)
    where dead_letter.id = r.id and dead_letter.state = 'open'`,
}

const RELEASE = {
  name: 'letter-release',
  text: `update dead_letter set claimed_until = null where id = $1 and state = 'open'`,
}
