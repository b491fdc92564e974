import type { Query } from '../database.ts'

/** An asset and the version of it that is asked about. */
export interface AssetVersion {
  readonly asset: string
  readonly version: number
}

/** What the current revisions of some tracks have, all of them the same. */
export interface AssetSet {
  readonly id: number
  /** The newest version of each asset that was made. */
  readonly made: ReadonlyMap<string, number>
  /** The newest version that has failed for good, where none as new was made. */
  readonly failed: ReadonlyMap<string, number>
  /** How many tracks have it. */
  readonly tracks: number
}

/** How tracks with a set stand to a version of an asset. */
type Standing = 'current' | 'older' | 'missing' | 'failed'

/** The sets that tracks have: some tens where all jobs ask for the same, thousands at most. */
export async function readAssetSets(query: Query): Promise<readonly AssetSet[]> {
  const found = await query<Columns>(SETS)
  return found.map(({ made, failed, ...rest }) => ({
    ...rest,
    made: versions(made),
    failed: versions(failed),
  }))
}

/** What has failed for good at the version is failed, and not stale. */
export function standingOf({ made, failed }: AssetSet, of: AssetVersion): Standing {
  const has = made.get(of.asset)
  if (has !== undefined && has >= of.version) return 'current'
  if ((failed.get(of.asset) ?? 0) >= of.version) return 'failed'
  return has === undefined ? 'missing' : 'older'
}

interface Columns {
  readonly id: number
  readonly made: readonly string[]
  readonly failed: readonly string[]
  readonly tracks: number
}

/** Of `bpm@3`, `key@1`. */
function versions(units: readonly string[]): ReadonlyMap<string, number> {
  return new Map(
    units.map((unit) => {
      const [asset = '', version] = unit.split('@')
      return [asset, Number(version)]
    }),
  )
}

const SETS = {
  name: 'asset-sets',
  text: `
    select id, made, failed, tracks from (
      select value::int as id, sum(count)::bigint as tracks
      from kept_count where kind = 'assets' group by value
    ) counted join asset_set using (id) where tracks > 0`,
}
