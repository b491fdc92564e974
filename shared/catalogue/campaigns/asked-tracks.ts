import type { Query } from '../database.ts'
import { type AssetVersion, readAssetSets, standingOf } from '../tracks/asset-sets.ts'
import {
  conditionOf,
  countTracks,
  type Parameter,
  type TrackFilter,
} from '../tracks/track-filter.ts'

/** Which tracks: all of the filter, and one of what is stale or lacking, if anything is given there. */
interface Asked {
  readonly filter: TrackFilter
  readonly stale: readonly AssetVersion[]
  readonly lacks: readonly AssetVersion[]
}

/** A track that was asked for. */
interface AskedTrack {
  readonly asset_guid: string
  /** What its latest job said. */
  readonly request: Readonly<Record<string, unknown>>
  /** Those of its assets that are stale or missing. */
  readonly assets: readonly string[]
}

/** The tracks of a range of keys. */
interface AskedRange {
  readonly tracks: readonly AskedTrack[]
  /** The last key of the range; null when no track follows `after`. */
  readonly last: string | null
  /** The number of tracks that have been looked at, and of those that there are. */
  readonly lookedAt: number
  readonly all: number
}

/**
 * Looks for tracks among the next `limit` ones behind the key `after`: what a call looks at is bounded, however few match.
 */
export async function askedTracks(
  query: Query,
  asked: Asked,
  after: string,
  limit: number,
): Promise<AskedRange> {
  const sets = new Map<number, readonly string[]>()
  for (const set of await readAssetSets(query)) {
    const is = (standing: string) => (of: AssetVersion) => standingOf(set, of) === standing
    const found = [...asked.stale.filter(is('older')), ...asked.lacks.filter(is('missing'))]
    sets.set(set.id, [...new Set(found.map(({ asset }) => asset))])
  }
  const values: unknown[] = [after, limit]
  const parameter: Parameter = (value) => `$${values.push(value)}`
  const all = await countTracks(query)
  const isBySet = asked.stale.length + asked.lacks.length > 0
  const ids = [...sets].filter(([, assets]) => assets.length > 0).map(([id]) => id)
  const ofSet = isBySet ? `listed.assets = any (${parameter(ids)}::int[])` : 'true'
  const condition = (await conditionOf(query, asked.filter, parameter)) ?? 'false'
  const text = `
    with listed as materialized (
      select * from track_listing where asset_guid > $1 order by asset_guid limit $2
    ), found as (
      select asset_guid, listed.assets, (select request from job where id = listed.job) as request
      from listed where ${ofSet} and ${condition}
    )
    select (select max(asset_guid) from listed) as last, (select count(*)::int from listed) as "lookedAt",
      (select coalesce(json_agg(found order by asset_guid), '[]') from found) as found`
  const [range] = await query<Range>({ text }, values)
  const { found = [], last = null, lookedAt = 0 } = range ?? {}
  const tracks = found.map(({ asset_guid, request, assets }) => ({
    ...{ asset_guid, request: request ?? {} },
    assets: sets.get(assets) ?? [],
  }))
  return { tracks, last, lookedAt, all }
}

interface Range extends Pick<AskedRange, 'last' | 'lookedAt'> {
  readonly found: readonly {
    readonly asset_guid: string
    readonly assets: number
    readonly request: Readonly<Record<string, unknown>> | null
  }[]
}
