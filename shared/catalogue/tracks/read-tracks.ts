import type { TrackNames } from '../../contracts/file-names.ts'
import type { StepEvent } from '../../contracts/messages/event.ts'
import { mergedWarnings, type Warning } from '../../contracts/warnings.ts'
import type { Database } from '../database.ts'
import { instant, uuid } from '../parameters.ts'

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

/** The position at which a page of a history ended. */
interface HistoryCursor {
  /** ISO 8601. */
  readonly at: string
  readonly id: string
}

interface HistoryPage {
  /** The events, latest first, without the requests of accepted jobs. */
  readonly events: readonly StepEvent[]
  /** Pass it as `before` to get the next page; absent on the last page. */
  readonly next?: HistoryCursor
}

/** A track; undefined until a run has read its master. */
export async function findTrack(
  database: Database,
  assetGuid: string,
  signal?: AbortSignal,
): Promise<TrackStatus | undefined> {
  if (assetGuid.includes('\0')) return undefined
  const [found] = await database.query<TrackColumns>(TRACK, [assetGuid], signal)
  if (found === undefined) return undefined
  const key = [assetGuid, found.revision]
  const assets = await database.query<AssetColumns>(ASSETS, key, signal)
  const { uri, samples, layout, revision } = found
  const warnings = mergedWarnings(found.warnings)
  return {
    ...{ track: assetGuid, revision, firstSeen: found.first_seen },
    names: found.names ?? {},
    master: { uri, samples, layout, warnings, firstSeen: found.master_seen },
    assets: assets.map(trackAsset),
  }
}

/** The events of a track, latest first. `limit`: 1 to 1,000. */
export async function trackHistory(
  database: Database,
  assetGuid: string,
  { limit, before }: { readonly limit: number; readonly before?: HistoryCursor | undefined },
  signal?: AbortSignal,
): Promise<HistoryPage> {
  const size = Math.min(Math.max(Math.trunc(limit), 1), 1_000)
  if (assetGuid.includes('\0')) return { events: [] }
  const from = before ? [instant(before.at), uuid(before.id)] : [null, null]
  const values = [assetGuid, ...from, size + 1]
  const found = await database.query<EventColumns>(HISTORY, values, signal)
  const events = found.slice(0, size).map(stepEvent)
  const last = events.at(-1)
  if (found.length <= size || last === undefined) return { events }
  return { events, next: { at: last.at, id: last.id } }
}

interface TrackColumns {
  readonly revision: string
  readonly first_seen: Date
  readonly uri: string
  readonly samples: number
  readonly layout: string
  readonly master_seen: Date
  readonly warnings: readonly Warning[]
  readonly names: TrackNames | null
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

type EventColumns = { readonly at: Date } & Record<string, unknown>

function trackAsset(columns: AssetColumns): TrackAsset {
  const { asset, version, recorded_at, state, files, result, code, sentence } = columns
  const common = { asset, version, recorded: recorded_at }
  if (state === 'failed') return { ...common, state, code, sentence }
  return { ...common, state, files, ...(result === null ? {} : { result }) }
}

function stepEvent({ at, ...rest }: EventColumns): StepEvent {
  const known = Object.entries(rest).filter(([, value]) => value !== null)
  return { ...Object.fromEntries(known), at: at.toISOString() } as StepEvent
}

const TRACK = {
  name: 'track-by-guid',
  text: `
    select track.revision, track.first_seen, uri, samples, layout, warnings,
      master.first_seen as master_seen,
      (select json_object_agg(field, name) from track_name
        where asset_guid = track.asset_guid and name <> '') as names
    from track join master using (asset_guid, revision)
    where asset_guid = $1`,
}

const ASSETS = {
  name: 'track-assets',
  text: `
    select asset, version, state, files, result, code, sentence, recorded_at
    from asset where asset_guid = $1 and revision = $2
    order by asset, version`,
}

const HISTORY = {
  name: 'track-history',
  text: `
    select id, at, step, verdict, job, track, run, route, attempt, units, worker, ms,
      cpu_ms as "cpuMs", bytes_read as "bytesRead", bytes_written as "bytesWritten",
      bytes_from_cloud as "bytesFromCloud", bytes_to_cloud as "bytesToCloud",
      store_operations as "storeOperations", code, sentence, warnings
    from event
    where track = $1 and ($2::timestamptz is null or (at, id) < ($2, $3::uuid))
    order by at desc, id desc
    limit $4`,
}
