import { LETTER_STATES } from '../../contracts/api/dead-letter.ts'
import type { Database } from '../database.ts'
import { cutPage, pageSize } from '../pages.ts'
import { instant } from '../parameters.ts'
import {
  COLUMNS,
  FILTER,
  filterValues,
  type KeptLetter,
  keptLetter,
  type LetterColumns,
  type LetterFilter,
  type LetterState,
} from './letter.ts'

/** A letter with its body and attributes. */
export interface WholeLetter extends KeptLetter {
  readonly message: string
  readonly attributes: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** The position at which a page of letters ended. */
interface LetterCursor {
  /** ISO 8601. */
  readonly at: string
  readonly id: string
}

/** The letters of a state, latest first. `limit`: 1 to 1,000. */
export async function listLetters(
  database: Database,
  state: LetterState | 'all',
  filter: LetterFilter,
  { limit, after }: { readonly limit: number; readonly after?: LetterCursor | undefined },
  signal?: AbortSignal,
): Promise<{ readonly letters: readonly KeptLetter[]; readonly next?: LetterCursor }> {
  const size = pageSize(limit)
  const values = filterValues(filter)
  if (values === undefined) return { letters: [] }
  const from = after ? [instant(after.at), after.id] : [null, null]
  const all = [...values, ...from, size + 1]
  const found = await database.query<LetterColumns>(LISTS[state], all, signal)
  const { page, last } = cutPage(found.map(keptLetter), size)
  if (last === undefined) return { letters: page }
  return { letters: page, next: { at: last.published.toISOString(), id: last.id } }
}

/** The number of open letters that match, with a job to redrive and without one. */
export async function countLetters(
  database: Database,
  filter: LetterFilter,
  signal?: AbortSignal,
): Promise<{ readonly redrivable: number; readonly others: number }> {
  const values = filterValues(filter)
  if (values === undefined) return { redrivable: 0, others: 0 }
  const [found] = await database.query<{ redrivable: number; others: number }>(
    COUNT,
    values,
    signal,
  )
  return found ?? { redrivable: 0, others: 0 }
}

/** One letter; undefined if there is none with this id. */
export async function findLetter(
  database: Database,
  id: string,
  signal?: AbortSignal,
): Promise<WholeLetter | undefined> {
  if (id.includes('\0')) return undefined
  const [found] = await database.query<WholeColumns>(ONE, [id], signal)
  if (found === undefined) return undefined
  const { message, attributes, body } = found
  return { ...keptLetter(found), message, attributes, body }
}

interface WholeColumns extends LetterColumns {
  readonly message: string
  readonly attributes: Record<string, string>
  readonly body: Buffer
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
