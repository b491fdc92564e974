import { atOnce, type Database } from '../database.ts'
import { type AssetVersion, readAssetSets, standingOf } from '../tracks/asset-sets.ts'

/** How many tracks have an asset in which version. Each track is counted once. */
interface StaleAsset extends AssetVersion {
  /** Tracks that have this version, or a newer one. */
  readonly current: number
  /** Tracks that have an older one, by version, the newest first. */
  readonly older: readonly { readonly version: number; readonly tracks: number }[]
  /** Tracks that have none. */
  readonly missing: number
  /** Tracks of which this version has failed for good, whether they have an older one or not. */
  readonly failed: number
}

/** Counts the tracks by the version that they have of each of these assets. */
export async function readStale(
  database: Database,
  assets: readonly AssetVersion[],
  signal?: AbortSignal,
): Promise<readonly StaleAsset[]> {
  const sets = await readAssetSets(atOnce(database, signal))
  return assets.map((asset) => {
    const counts = { current: 0, missing: 0, failed: 0 }
    const older = new Map<number, number>()
    for (const set of sets) {
      const standing = standingOf(set, asset)
      if (standing !== 'older') counts[standing] += set.tracks
      else {
        const version = set.made.get(asset.asset) ?? 0
        older.set(version, (older.get(version) ?? 0) + set.tracks)
      }
    }
    const versions = [...older].map(([version, tracks]) => ({ version, tracks }))
    return { ...asset, ...counts, older: versions.sort((a, b) => b.version - a.version) }
  })
}
