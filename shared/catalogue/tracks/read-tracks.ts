import type { TrackNames } from '../../contracts/file-names.ts'
import { mergedWarnings, type Warning } from '../../contracts/warnings.ts'
import type { Database } from '../database.ts'

/** The current state of a track. */
export interface TrackStatus {
  readonly track: string
  /** The revision of the master that the latest accepted job has read. */
  readonly revision: string
  readonly firstSeen: Date
  /** Its names, as jobs gave them or as they were found in the master. */
  readonly names: TrackNames
  readonly master: {
    readonly uri: string
    /** Samples per channel. */
    readonly samples: number
    /** e.g. `WAV 24-bit 48000 Hz 2 channels`. */
    readonly layout: string
    readonly firstSeen: Date
    /** The warnings about it. */
    readonly warnings: readonly Warning[]
  }
  /** The known assets of the current revision, by asset and version. */
  readonly assets: readonly TrackAsset[]
}

type TrackAsset = {
  readonly asset: string
  readonly version: number
  readonly recorded: Date
} & (
  | {
      readonly state: 'made'
      /** The size of each file, bytes, by extension. */
      readonly files: Readonly<Record<string, number>>
      readonly result?: unknown
    }
  | { readonly state: 'failed'; readonly code: string; readonly sentence: string }
)

/** A track; undefined until a run has read its master. */
export async function findTrack(
  database: Database,
  assetGuid: string,
  signal?: AbortSignal,
): Promise<TrackStatus | undefined> {
  if (assetGuid.includes('\0')) return undefined
  const [found] = await database.query<TrackColumns>(TRACK, [assetGuid], signal)
  if (found === undefined) return undefined
  const assets = await database.query<AssetColumns>(ASSETS, [found.id], signal)
  const { uri, samples, layout, revision } = found
  const warnings = mergedWarnings(found.warnings)
  return {
    track: assetGuid,
    revision,
    firstSeen: found.first_seen,
    names: found.names,
    master: { uri, samples, layout, warnings, firstSeen: found.master_seen },
    assets: assets.map(trackAsset),
  }
}

interface TrackColumns {
  /** Of the master. */
  readonly id: number
  readonly revision: string
  readonly first_seen: Date
  readonly uri: string
  readonly samples: number
  readonly layout: string
  readonly master_seen: Date
  readonly warnings: readonly Warning[]
  readonly names: TrackNames
}

interface AssetColumns {
  readonly asset: string
  readonly version: number
  readonly state: 'made' | 'failed'
  readonly files: Record<string, number>
  readonly result: unknown
  readonly code: string
  readonly sentence: string
  readonly recorded_at: Date
}

function trackAsset(columns: AssetColumns): TrackAsset {
  const { asset, version, recorded_at, state, files, result, code, sentence } = columns
  const common = { asset, version, recorded: recorded_at }
  if (state === 'failed') return { ...common, state, code, sentence }
  return { ...common, state, files, ...(result === null ? {} : { result }) }
}

/** SQL for the names of a row of `track` as JSON. */
export const NAMES = `json_strip_nulls(json_build_object('title', nullif(title, ''), 'artist', nullif(artist, '')))`

const TRACK = {
  name: 'track-by-guid',
  text: `
    select master.id, track.revision, track.first_seen, uri, samples, layout, warnings,
      master.first_seen as master_seen, ${NAMES} as names
    from track join master using (asset_guid, revision)
    where asset_guid = $1`,
}

const ASSETS = {
  name: 'track-assets',
  text: `
    select asset, version, state, files, result, code, sentence, recorded_at
    from asset where master = $1
    order by asset, version`,
}
