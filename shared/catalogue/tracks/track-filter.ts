import type { TRACK_STATES } from '../../contracts/api/track.ts'
import { SAMPLE_RATE } from '../../contracts/pcm-format.ts'
import type { Query } from '../database.ts'
import { type AssetSet, type AssetVersion, readAssetSets, standingOf } from './asset-sets.ts'

type ListedState = (typeof TRACK_STATES)[number]

/** A filter of tracks. A track has to match all given properties. */
export interface TrackFilter {
  readonly bpmFrom?: number | undefined
  readonly bpmTo?: number | undefined
  /** Keys in Camelot notation; any of them matches. */
  readonly camelot?: readonly string[] | undefined
  /** The minimum confidence of the tempo, 0 to 1. */
  readonly bpmConfidenceFrom?: number | undefined
  /** The minimum confidence of the key, 0 to 1. */
  readonly keyConfidenceFrom?: number | undefined
  readonly secondsFrom?: number | undefined
  readonly secondsTo?: number | undefined
  /** An asset that has been made of the current revision. */
  readonly asset?: string | undefined
  /** An asset that has been made in an older version alone, and not failed in this one. */
  readonly stale?: AssetVersion | undefined
  /** An asset that has never been made of the current revision, and not failed in this version. */
  readonly lacks?: AssetVersion | undefined
  readonly state?: ListedState | undefined
  /** The code of a warning about its master. */
  readonly warning?: string | undefined
  /** Whether its master has warnings. */
  readonly isWarned?: boolean | undefined
  /** The beginning of an asset_guid, or the beginnings of words in title and artist. */
  readonly q?: string | undefined
}

/** Names a parameter of a statement, whose value it is. */
export type Parameter = (value: unknown) => string

/** A part of a filter, as SQL on a row `listed` of `track_listing`. */
interface Part {
  where(parameter: Parameter): string
  /** What an index finds of it: the same, or less of it. */
  indexed?(parameter: Parameter): string
  /** The same as `where`, so that the database knows how common it is. */
  guessed?(parameter: Parameter): string
  /** A column that has few values, each of which an index has in the order of lists. */
  readonly few?: Few
}

interface Few {
  /** The SQL of the values that match. */
  values(parameter: Parameter): string
  /** That the column has the value `value`. */
  readonly condition: string
  /** The number of tracks that match. */
  readonly tracks: number
}

/** What tracks are looked for, and where. */
export interface Search {
  readonly parts: readonly Part[]
  /** The part that has few matches, among which the others are looked for; undefined: all tracks are looked at. */
  readonly fewest?: Part
  /** A part that has more than can be sorted for each page, but not many more. */
  readonly some?: Part
  /** Whether more tracks than `MAX_WALKED` may be passed before a page is full. */
  readonly isLong: boolean
}

/** Up to this many rows are found and sorted. Of what more rows match, a page is soon full. */
export const MAX_SORTED = 10_000
/**
 * What more than this share of tracks are expected to have is not counted: finding them takes as long as there are tracks
 * that have it. PostgreSQL expects the beginning of any rare word in half a hundredth of all rows.
 */
const LARGE_SHARE = 0.02
/** Up to this many tracks are passed on the way to a full page, before all conditions are looked for at once. */
export const MAX_WALKED = 100_000
/** Up to this many are looked at where most of them drop out. */
const MAX_LOOKED_AT = 40_000
/** What so few are expected to have is not counted either. */
const SURELY_FEW = 1_000

/**
 * How to find a page of `size` tracks that match; undefined if there are none. The database's own guess would do where what is rare
 * is spread evenly, but what is stale has not changed for longest: a list read from its latest entry on would pass
 * millions before it comes to them.
 */
export async function searchFor(
  query: Query,
  filter: TrackFilter,
  size: number,
): Promise<Search | undefined> {
  const parts = await partsOf(query, filter)
  if (parts === undefined) return undefined
  const total = await countTracks(query)
  let fewest: Part | undefined
  let some: Part | undefined
  let least = Number.POSITIVE_INFINITY
  for (const part of parts) {
    const tracks = part.indexed
      ? await countOf(query, part.indexed, total)
      : (part.few?.tracks ?? least)
    if (part.indexed && tracks <= MAX_LOOKED_AT) some = part
    if (part.indexed && tracks > MAX_SORTED) continue
    // What most tracks have is found soonest where all of them are.
    if (tracks >= least || (part.few && (part.few.condition === '' || tracks > total / 2)))
      continue
    fewest = part
    least = tracks
  }
  const isLong = !fewest?.indexed && parts.length > (fewest ? 1 : 0) && least > MAX_WALKED
  const search = { parts, isLong, ...(fewest ? { fewest } : {}), ...(some ? { some } : {}) }
  if (!isLong) return search
  const values: unknown[] = []
  const parameter = (value: unknown) => `$${values.push(value)}`
  const where = parts.map((part) => (part.guessed ?? part.where)(parameter)).join(' and ')
  const source = `select from track_listing listed where ${where}`
  const expected = await expectedRows(query, source, values)
  // The number of matches that are expected among those that are passed.
  const found = (expected / Math.min(least, total)) * MAX_WALKED
  return found > size ? search : allAtOnce(search)
}

/** The parts of a filter; undefined if no track matches. */
async function partsOf(
  query: Query,
  filter: TrackFilter,
): Promise<readonly Part[] | undefined> {
  if ([filter.asset, filter.q].some((text) => text?.includes('\0'))) return undefined
  const few = await columnsOfFew(query, filter)
  if (few.some((part) => part.few?.tracks === 0)) return undefined
  return [...few, ...rangesOf(filter), ...(await wordsOf(query, filter.q?.trim() ?? ''))]
}

/** SQL of a filter, as a condition on a row `listed` of `track_listing`; undefined if no track matches. */
export async function conditionOf(
  query: Query,
  filter: TrackFilter,
  parameter: Parameter,
): Promise<string | undefined> {
  const parts = await partsOf(query, filter)
  return parts && ['true', ...parts.map((part) => part.where(parameter))].join(' and ')
}

/** The number of tracks. */
export async function countTracks(query: Query): Promise<number> {
  const [all] = await query<{ tracks: number }>(ALL)
  return all?.tracks ?? 0
}

/** All conditions as one, which the database finds by the indexes that it likes. */
export function allAtOnce(search: Search): Search {
  const where = (parameter: Parameter) =>
    search.parts.map((part) => part.where(parameter)).join(' and ')
  return { ...search, isLong: false, fewest: { where, indexed: where } }
}

/** The number of tracks, or what the database expects; infinite if there are too many to be looked at. */
async function countOf(
  query: Query,
  indexed: (parameter: Parameter) => string,
  total: number,
): Promise<number> {
  const values: unknown[] = []
  const where = indexed((value) => `$${values.push(value)}`)
  const source = `select from track_listing listed where ${where}`
  const expected = await expectedRows(query, source, values)
  if (expected <= SURELY_FEW) return expected
  if (expected > Math.max(MAX_SORTED, LARGE_SHARE * total)) return Number.POSITIVE_INFINITY
  const text = `select count(*) as tracks from (${source} limit ${MAX_LOOKED_AT + 1}) as found`
  const [found] = await query<{ tracks: number }>({ text }, values)
  const tracks = found?.tracks ?? 0
  return tracks > MAX_LOOKED_AT ? Number.POSITIVE_INFINITY : tracks
}

async function expectedRows(
  query: Query,
  text: string,
  values: readonly unknown[],
): Promise<number> {
  const [plan] = await query<Plan>({ text: `explain (format json) ${text}` }, values)
  return plan?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
}

interface Plan {
  readonly 'QUERY PLAN': readonly { readonly Plan: { readonly 'Plan Rows': number } }[]
}

async function columnsOfFew(query: Query, filter: TrackFilter): Promise<readonly Part[]> {
  const { camelot, state, warning, isWarned } = filter
  const parts: Part[] = []
  const add = (
    found: readonly Count[],
    type: 'int' | 'text',
    column: string,
    condition: string,
  ) => {
    const values = (parameter: Parameter) =>
      `${parameter(found.map(({ value }) => value))}::${type}[]`
    const tracks = found.reduce((sum, each) => sum + each.tracks, 0)
    parts.push({
      where: (parameter) => `${column} = any (${values(parameter)})`,
      few: { values, condition, tracks },
    })
  }
  const tests = setTests(filter)
  if (tests.length > 0) {
    const sets = (await readAssetSets(query)).filter((set) => tests.every((test) => test(set)))
    const found = sets.map(({ id, tracks }) => ({ value: `${id}`, tracks }))
    add(found, 'int', 'listed.assets', 'listed.assets = value')
  }
  const isWarning = warning !== undefined || isWarned !== undefined
  if (camelot === undefined && state === undefined && !isWarning) return parts
  const counts = await query<Count & { readonly kind: string }>(COUNTS)
  const of = (kind: string, test: (value: string) => boolean) =>
    counts.filter((count) => count.kind === kind && test(count.value))
  if (camelot !== undefined) {
    const found = of('camelot', (value) => camelot.includes(value))
    add(found, 'text', 'listed.camelot', 'listed.camelot = value')
  }
  if (state !== undefined) {
    const found = of('state', (value) => value === state)
    add(found, 'text', 'listed.state', 'listed.state = value')
  }
  if (isWarning) {
    const found = of('warnings', (value) =>
      warning === undefined ? (value !== '{}') === isWarned : codesOf(value).includes(warning),
    )
    // What has none has no index: nearly everything is without.
    const condition = found.some(({ value }) => value === '{}')
      ? ''
      : `listed.warnings = value::text[] and listed.warnings <> '{}'`
    add(found, 'text', 'listed.warnings::text', condition)
  }
  return parts
}

interface Count {
  readonly value: string
  readonly tracks: number
}

/** The codes in PostgreSQL's text of an array of codes. */
function codesOf(array: string): string[] {
  return array.slice(1, -1).split(',')
}

function setTests({ asset, stale, lacks }: TrackFilter): ((set: AssetSet) => boolean)[] {
  const tests: ((set: AssetSet) => boolean)[] = []
  if (asset !== undefined) tests.push(({ made }) => made.has(asset))
  if (stale) tests.push((set) => standingOf(set, stale) === 'older')
  if (lacks) tests.push((set) => standingOf(set, lacks) === 'missing')
  return tests
}

function rangesOf(filter: TrackFilter): Part[] {
  const seconds = [
    samplesOf(filter.secondsFrom, Math.ceil),
    samplesOf(filter.secondsTo, Math.floor),
  ]
  return [
    ...rangeOf('bpm', 'double precision', filter.bpmFrom, filter.bpmTo),
    ...rangeOf('bpm_confidence', 'double precision', filter.bpmConfidenceFrom),
    ...rangeOf('key_confidence', 'double precision', filter.keyConfidenceFrom),
    // An index on whole numbers is used for whole numbers alone.
    ...rangeOf('samples', 'bigint', ...seconds),
  ]
}

/** Nothing without limits. */
function rangeOf(column: string, type: string, from?: number, to?: number): Part[] {
  const limits = [
    ['>=', from],
    ['<=', to],
  ] as const
  const given = limits.filter(([, value]) => value !== undefined)
  if (given.length === 0) return []
  const where = (parameter: Parameter) =>
    given
      .map(([limit, value]) => `listed.${column} ${limit} ${parameter(value)}::${type}`)
      .join(' and ')
  return [{ where, indexed: where }]
}

function samplesOf(seconds: number | undefined, rounded: (value: number) => number) {
  return seconds === undefined ? undefined : rounded(seconds * SAMPLE_RATE)
}

/** Nothing for an empty text. */
async function wordsOf(query: Query, q: string): Promise<Part[]> {
  if (q === '') return []
  const begins = (parameter: Parameter) =>
    `listed.asset_guid >= ${parameter(q)} and listed.asset_guid < ${parameter(`${q}\u{10FFFF}`)}`
  const words = await rarestFirst(query, searchedWords(q))
  const [rarest, ...others] = words
  if (rarest === undefined) return [{ where: begins, indexed: begins }]
  const has = (column: string, word: string, parameter: Parameter) =>
    `${column} @@ to_tsquery('simple', ${parameter(word)})`
  const first = (parameter: Parameter) =>
    `listed.words is not null and ${has('listed.words', rarest, parameter)}`
  // An index would first find all tracks that have a common word: only the rarest is looked for there.
  const rest = (parameter: Parameter) =>
    others.map((word) => ` and ${has(`coalesce(listed.words, '')`, word, parameter)}`).join('')
  return [
    {
      where: (parameter) => `(${begins(parameter)} or ${first(parameter)}${rest(parameter)})`,
      indexed: (parameter) => `(${begins(parameter)} or ${first(parameter)})`,
      guessed: (parameter) =>
        words.map((word) => has('listed.words', word, parameter)).join(' and '),
    },
  ]
}

/** The words in the order of how many tracks are expected to have them. */
async function rarestFirst(query: Query, words: readonly string[]): Promise<readonly string[]> {
  if (words.length < 2) return words
  const expected = new Map<string, number>()
  for (const word of words) expected.set(word, await expectedRows(query, HAVE_WORD, [word]))
  return words.toSorted((a, b) => (expected.get(a) ?? 0) - (expected.get(b) ?? 0))
}

/** Each word as a text search for words that begin with it, in the letter cases that a database may not handle. */
function searchedWords(text: string): string[] {
  const words = text.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  return [...new Set(words.map((word) => word.toLowerCase()))].slice(0, 8).map((word) => {
    const first = String.fromCodePoint(word.codePointAt(0) ?? 0)
    const titled = first.toUpperCase() + word.slice(first.length)
    const cases = /^[\p{ASCII}]*$/u.test(word) ? [word] : [...new Set([word, titled])]
    return cases.map((each) => `${each}:*`).join(' | ')
  })
}

const HAVE_WORD = `
  select from track_listing where words is not null and words @@ to_tsquery('simple', $1)`

const ALL = {
  name: 'list-all',
  text: `select coalesce(sum(count), 0)::bigint as tracks from kept_count where kind = 'state'`,
}

const COUNTS = {
  name: 'list-counts',
  text: `
    select kind, value, sum(count)::bigint as tracks from kept_count
    where kind in ('camelot', 'state', 'warnings') group by 1, 2`,
}
