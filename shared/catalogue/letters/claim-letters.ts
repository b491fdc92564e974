import type { Database } from '../database.ts'
import { pageSize } from '../pages.ts'
import { rows } from '../parameters.ts'
import {
  COLUMNS,
  FILTER,
  filterValues,
  type KeptLetter,
  keptLetter,
  type LetterColumns,
  type LetterFilter,
  type LetterState,
  type Settlement,
} from './letter.ts'

/**
 * How long a claim on a letter is valid, s. It is longer than publishing the letter takes, so that the process that
 * holds it has settled the letter by then, or has died.
 */
const CLAIM_SECONDS = 60

/** The letters that `claimLetter` would claim next by a filter, in that order. `limit`: 1 to 1,000. */
export async function nextLetters(
  database: Database,
  filter: LetterFilter,
  limit: number,
  signal?: AbortSignal,
): Promise<readonly KeptLetter[]> {
  const values = filterValues(filter)
  if (values === undefined) return []
  const size = pageSize(limit)
  const found = await database.query<LetterColumns>(NEXT, [...values, size], signal)
  return found.map(keptLetter)
}

/**
 * Claims an open letter that is not claimed: the one with this id, or the oldest one with a job that matches the filter.
 * Undefined if there is none. Settle it or release it; the claim expires after 60 s.
 */
export async function claimLetter(
  database: Database,
  which: string | LetterFilter,
  signal?: AbortSignal,
): Promise<KeptLetter | undefined> {
  if (typeof which === 'string') {
    if (which.includes('\0')) return undefined
    return claimed(await database.query<LetterColumns>(CLAIM, [which], signal))
  }
  const values = filterValues(which)
  return values && claimed(await database.query<LetterColumns>(CLAIM_NEXT, values, signal))
}

/** Settles a letter that was claimed. */
export async function settleLetter(
  database: Database,
  id: string,
  { by, run, reason }: Omit<Settlement, 'at'>,
  signal?: AbortSignal,
): Promise<void> {
  const state: LetterState = run === null ? 'discarded' : 'redriven'
  await database.query(SETTLE, [rows([{ id, state, by, run, reason }])], signal)
}

/** Releases a claim. */
export async function releaseLetter(
  database: Database,
  id: string,
  signal?: AbortSignal,
): Promise<void> {
  await database.query(RELEASE, [id], signal)
}

function claimed([found]: readonly LetterColumns[]): KeptLetter | undefined {
  return found && keptLetter(found)
}

/** A claim that ends later than any new one could was made before the clock was set back, and is ignored. */
const FREE = `state = 'open' and (claimed_until is null or claimed_until < now()
  or claimed_until > now() + make_interval(secs => ${2 * CLAIM_SECONDS}))`

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
