import type { TRACK_STATES, TrackLine } from '../../contracts/api/track.ts'
import type { TrackNames } from '../../contracts/file-names.ts'
import { SAMPLE_RATE } from '../../contracts/pcm-format.ts'
import type { Database } from '../database.ts'

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
  readonly state?: ListedState | undefined
  /** The code of a warning about its master. */
  readonly warning?: string | undefined
  /** Whether its master has warnings. */
  readonly isWarned?: boolean | undefined
  /** The beginning of an asset_guid, or the beginnings of words in title and artist. */
  readonly q?: string | undefined
}

/** A track as lists show it. */
export interface ListedTrack {
  readonly line: TrackLine
  /** When it changed last: `updated` of the line with full precision, µs since 1970. */
  readonly updatedUs: number
}

/** The position at which a page of tracks ended. */
export interface TrackCursor {
  /** The time of the first page, µs since 1970. Tracks that have changed since keep the place that they had then. */
  readonly asOfUs: number
  readonly placeUs: number
  readonly track: string
}

interface TrackPage {
  readonly tracks: readonly ListedTrack[]
  /** Absent on the last page. */
  readonly next?: TrackCursor
}

/**
 * Tracks, latest activity first. `limit`: 1 to 1,000. All pages together have each track that existed at the first page
 * exactly once, even if tracks change meanwhile.
 */
export async function listTracks(
  database: Database,
  filter: TrackFilter,
  { limit, after }: { readonly limit: number; readonly after?: TrackCursor | undefined },
  signal?: AbortSignal,
): Promise<TrackPage> {
  const size = Math.min(Math.max(Math.trunc(limit), 1), 1_000)
  const values: unknown[] = []
  const where = conditions(filter, values)
  if (where === undefined) return { tracks: [] }
  const text =
    after === undefined ? firstPage(where, size + 1) : laterPage(after, where, values, size + 1)
  const found = await database.query<Columns>({ text }, values, signal)
  const page = found.slice(0, size)
  const last = page.at(-1)
  const tracks = page.map(listed)
  if (found.length <= size || last === undefined) return { tracks }
  const asOfUs = after?.asOfUs ?? page[0]?.place_us ?? last.place_us
  return { tracks, next: { asOfUs, placeUs: last.place_us, track: last.asset_guid } }
}

/**
 * Tracks that changed after `sinceUs`, earliest change first. `sinceUs`: µs since 1970 by the database's clock.
 * Default: two seconds ago.
 */
export async function changedTracks(
  database: Database,
  sinceUs: number | undefined,
  limit: number,
  signal?: AbortSignal,
): Promise<readonly ListedTrack[]> {
  return (await database.query<Columns>(CHANGED, [sinceUs ?? null, limit], signal)).map(listed)
}

/** A track by its asset_guid; undefined if no job for it is known. */
export async function listedTrack(
  database: Database,
  assetGuid: string,
  signal?: AbortSignal,
): Promise<ListedTrack | undefined> {
  if (assetGuid.includes('\0')) return undefined
  return (await database.query<Columns>(ONE, [assetGuid], signal)).map(listed)[0]
}

/** The SQL conditions of a filter, whose values are appended to `values`; undefined if nothing can match. */
function conditions(filter: TrackFilter, values: unknown[]): readonly string[] | undefined {
  const where: string[] = []
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return
    values.push(value)
    where.push(condition(`$${values.length}`))
  }
  if ([filter.asset, filter.q].some((text) => text?.includes('\0'))) return undefined
  const samples = (seconds: number | undefined) => seconds && seconds * SAMPLE_RATE
  add(filter.bpmFrom, (it) => `bpm >= ${it}`)
  add(filter.bpmTo, (it) => `bpm <= ${it}`)
  add(filter.camelot, (it) => `camelot = any (${it}::text[])`)
  add(filter.bpmConfidenceFrom, (it) => `bpm_confidence >= ${it}::double precision`)
  add(filter.keyConfidenceFrom, (it) => `key_confidence >= ${it}::double precision`)
  add(samples(filter.secondsFrom), (it) => `samples >= ${it}::double precision`)
  add(samples(filter.secondsTo), (it) => `samples <= ${it}::double precision`)
  add(filter.asset, (it) => `${it} = any (made)`)
  add(filter.state, (it) => `state = ${it}`)
  add(filter.warning, (it) => `${it} = any (warnings)`)
  add(filter.isWarned, (it) => `(cardinality(warnings) > 0) = ${it}`)
  const q = filter.q?.trim()
  if (!q) return where
  const parameter = (value: string) => `$${values.push(value)}`
  const named = wordsOf(q).map(
    (word) => `asset_guid in (select asset_guid from track_name
      where to_tsvector('simple', translate(name, '/.@_-', '     '))
        @@ to_tsquery('simple', ${parameter(word)}))`,
  )
  const either = [`starts_with(asset_guid, ${parameter(q)})`, named.join(' and ')]
  where.push(`(${either.filter(Boolean).join(' or ')})`)
  return where
}

/** Each word as a text search for words that begin with it, in the letter cases that a database may not handle. */
function wordsOf(text: string): string[] {
  const words = text.match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  return [...new Set(words.map((word) => word.toLowerCase()))].slice(0, 8).map((word) => {
    const first = String.fromCodePoint(word.codePointAt(0) ?? 0)
    const titled = first.toUpperCase() + word.slice(first.length)
    return [...new Set([word, titled])].map((each) => `${each}:*`).join(' | ')
  })
}

/** The columns that a line has under the same names. Those that are null are left out of it. */
type Named = Omit<TrackLine, 'seconds' | 'title' | 'artist' | 'assets' | 'updated'>

type Columns = { readonly [Name in keyof Required<Named>]: TrackLine[Name] | null } & Required<
  TrackLine['assets']
> & {
    readonly asset_guid: string
    readonly place_us: number
    readonly updated_us: number
    readonly samples: number | null
    readonly names: TrackNames | null
  }

function listed(columns: Columns): ListedTrack {
  const { place_us: _, updated_us, samples, names, made, failed, pending, ...named } = columns
  const known = Object.entries(named).filter(([, value]) => value !== null)
  const seconds = samples === null ? {} : { seconds: rounded(samples / SAMPLE_RATE) }
  const line = {
    ...Object.fromEntries(known),
    ...names,
    ...seconds,
    assets: { made, failed, pending },
    updated: new Date(updated_us / 1000).toISOString(),
  }
  return { line: line as TrackLine, updatedUs: updated_us }
}

/** Seconds to a millisecond. */
function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000
}

/** SQL for the µs since 1970 of an instant. A JavaScript Date would round away what decides the order. */
const us = (column: string) => `(extract(epoch from ${column}) * 1000000)::bigint`
/** SQL for the instant of a parameter in µs since 1970, without the rounding of a double. */
const at = (parameter: string) =>
  `(timestamptz 'epoch' + ${parameter}::bigint * interval '1 microsecond')`

const COLUMNS = `asset_guid, ${us('updated_at')} as updated_us, request_id, state, samples, bpm,
  case when bpm is not null then bpm_confidence end as bpm_confidence, bpm_error, key,
  case when key is not null then key_confidence end as key_confidence, camelot,
  loudness as loudness_lufs, nullif(warnings, '{}') as warnings, made, failed, pending,
  (select json_object_agg(field, name) from track_name
    where asset_guid = found.asset_guid and name <> '') as names,
  exists (select from dead_letter letter where letter.state = 'open' and letter.request is not null
    and letter.request ->> 'asset_guid' = found.asset_guid
    and letter.code <> 'REQUEST_CONFLICT') as dead_lettered`

/** SQL for a page of tracks with their `place`. Names are read for the tracks of the page alone. */
const pageOf = (tracks: string, limit: number) => `
  select ${COLUMNS}, ${us('place')} as place_us from (
    select * from (${tracks}) every order by place desc, asset_guid desc limit ${limit}
  ) found order by place desc, asset_guid desc`

function firstPage(where: readonly string[], limit: number): string {
  return pageOf(
    `select updated_at as place, * from track_listing where ${['true', ...where].join(' and ')}`,
    limit,
  )
}

/** A later page: tracks that have not changed since the first page, and changed ones at the place that they had then. */
function laterPage(
  { asOfUs, placeUs, track }: TrackCursor,
  where: readonly string[],
  values: unknown[],
  limit: number,
): string {
  values.push(asOfUs, placeUs, track)
  const [asOf, place] = [at(`$${values.length - 2}`), at(`$${values.length - 1}`)]
  const from = `(${place}, $${values.length})`
  const filter = ['true', ...where].join(' and ')
  return pageOf(
    `(select updated_at as place, * from track_listing
      where updated_at <= ${asOf} and (updated_at, asset_guid) < ${from} and ${filter}
      order by updated_at desc, asset_guid desc limit ${limit})
    union all
    select * from (
      select (select max(each) from unnest(earlier) each where each <= ${asOf}) as place, *
      from track_listing where updated_at > ${asOf} and ${filter}
    ) moved where (place, asset_guid) < ${from}`,
    limit,
  )
}

const CHANGED = {
  name: 'tracks-changed',
  text: `
    select ${COLUMNS}, 0 as place_us from track_listing found where updated_at > coalesce(${at('$1')}, now() - interval '2 seconds')
    order by updated_at, asset_guid limit $2`,
}

const ONE = {
  name: 'track-listed',
  text: `select ${COLUMNS}, 0 as place_us from track_listing found where asset_guid = $1`,
}
