import type { RunEnded, Verdict } from '../../contracts/messages/run.ts'
import { mergedWarnings, type Warning } from '../../contracts/warnings.ts'
import type { Query } from '../database.ts'
import { rows, whole } from '../parameters.ts'

/** The key of one asset of one revision of a track's master. */
export interface AssetKey {
  readonly track: string
  readonly revision: string
  readonly asset: string
  readonly version: number
}

/** An asset that exists. */
interface MadeAsset extends AssetKey {
  /** The size of each file, bytes, by extension. */
  readonly files: Readonly<Record<string, number>>
  readonly result?: unknown
}

/**
 * Records the masters that runs have read. A warning that one run has found stays, even if another run, which had
 * nothing to decode, does not have it.
 */
export async function recordMasters(query: Query, runs: readonly RunEnded[]): Promise<void> {
  const warned = new Map<string, { readonly warnings: readonly Warning[] }>()
  const masters = new Map<string, object>()
  for (const { master, request } of runs) {
    if (master === null) continue
    const { revision, samples } = master
    const asset_guid = request.asset_guid
    const key = masterKey(asset_guid, revision)
    masters.set(key, { ...master, asset_guid, samples: whole(samples) })
    if (master.warnings?.length) {
      const warnings = mergedWarnings(warned.get(key)?.warnings, master.warnings)
      warned.set(key, { ...{ asset_guid, revision }, warnings })
    }
  }
  if (masters.size === 0) return
  await query(MASTERS, [rows([...masters.values()])])
  if (warned.size > 0) await query(WARNED, [rows([...warned.values()])])
}

/** The warnings about these masters, by `masterKey`. Masters without any are left out. */
export async function readWarnings(
  query: Query,
  masters: readonly Pick<AssetKey, 'track' | 'revision'>[],
): Promise<ReadonlyMap<string, readonly Warning[]>> {
  if (masters.length === 0) return new Map()
  const keys = masters.map(({ track, revision }) => ({ asset_guid: track, revision }))
  const found = await query<WarningColumns>(WARNINGS, [rows(keys)])
  return new Map(
    found.map(({ asset_guid, revision, warnings }) => [
      masterKey(asset_guid, revision),
      mergedWarnings(warnings),
    ]),
  )
}

/** The key of one revision of a track's master. */
export function masterKey(track: string, revision: string): string {
  return `${track} ${revision}`
}

/**
 * Records what runs have made and failed to make. An asset that was made once stays made.
 * @returns the assets that were recorded as made for the first time
 */
export async function recordAssets(
  query: Query,
  runs: readonly RunEnded[],
): Promise<readonly string[]> {
  const assets = new Map<string, { readonly state: string }>()
  for (const { key, verdict } of runs.flatMap(keyedVerdicts)) {
    const name = `${key.track} ${key.revision} ${key.asset} ${key.version}`
    if (assets.get(name)?.state !== 'made') assets.set(name, { ...keyColumns(key), ...verdict })
  }
  if (assets.size === 0) return []
  const changed = await query<{ asset: string; state: string }>(ASSETS, [
    rows([...assets.values()]),
  ])
  return changed.filter(({ state }) => state === 'made').map(({ asset }) => asset)
}

/** The assets, of those named, that exist. */
export async function readMade(query: Query, keys: readonly AssetKey[]): Promise<MadeAsset[]> {
  if (keys.length === 0) return []
  const found = await query<MadeColumns>(MADE, [rows(keys.map(keyColumns))])
  return found.map(({ asset_guid, result, ...rest }) => ({
    ...rest,
    track: asset_guid,
    ...(result === null ? {} : { result }),
  }))
}

/** The verdicts of a run, each with the key of its asset; empty if the run has not read the master. */
export function keyedVerdicts({ master, request, verdicts }: RunEnded): KeyedVerdict[] {
  if (master === null) return []
  return Object.entries(verdicts).map(([asset, verdict]) => ({
    key: {
      track: request.asset_guid,
      revision: master.revision,
      asset,
      version: verdict.version,
    },
    verdict,
  }))
}

interface KeyedVerdict {
  readonly key: AssetKey
  readonly verdict: Verdict
}

interface WarningColumns {
  readonly asset_guid: string
  readonly revision: string
  readonly warnings: readonly Warning[]
}

interface MadeColumns {
  readonly asset_guid: string
  readonly revision: string
  readonly asset: string
  readonly version: number
  readonly files: Record<string, number>
  readonly result: unknown
}

function keyColumns({ track, revision, asset, version }: AssetKey): object {
  return { asset_guid: track, revision, asset, version: whole(version) }
}

const MASTERS = {
  name: 'masters-record',
  text: `
    insert into master (asset_guid, revision, uri, samples, layout)
    select asset_guid, revision, uri, samples, layout
    from json_to_recordset($1) as r (asset_guid text, revision text, uri text, samples bigint,
      layout text)
    order by asset_guid collate "C", revision collate "C"
    on conflict do nothing`,
}

const WARNED = {
  name: 'masters-warned',
  text: `
    with given as (
      select * from json_to_recordset($1) as r (asset_guid text, revision text, warnings jsonb)
    ), locked as (
      select asset_guid, revision from master join given using (asset_guid, revision)
      where not master.warnings @> given.warnings
      order by asset_guid, revision for update of master
    )
    update master set warnings = (
      select jsonb_agg(distinct each) from jsonb_array_elements(master.warnings || given.warnings) each)
    from given join locked using (asset_guid, revision)
    where master.asset_guid = given.asset_guid and master.revision = given.revision`,
}

const WARNINGS = {
  name: 'masters-warnings',
  text: `
    select asset_guid, revision, warnings
    from master join json_to_recordset($1) as r (asset_guid text, revision text)
      using (asset_guid, revision)
    where warnings <> '[]'`,
}

const ASSETS = {
  name: 'assets-record',
  text: `
    insert into asset (master, asset, version, state, files, result, code, sentence)
    select master.id, asset, version, state, files, result, code, sentence
    from json_to_recordset($1) as r (asset_guid text, revision text, asset text, version bigint,
      state text, files json, result json, code text, sentence text)
    join master using (asset_guid, revision)
    order by master.id, asset collate "C", version
    on conflict (master, asset, version) do update set
      state = excluded.state, files = excluded.files, result = excluded.result,
      code = excluded.code, sentence = excluded.sentence, recorded_at = now()
    where asset.state = 'failed'
    returning asset, state`,
}

// By keys alone: a catalogue that is young has no statistics, and a join would hold each asset against each key.
const MADE = {
  name: 'assets-made',
  text: `
    select r.asset_guid, r.revision, r.asset, r.version, made.files, made.result
    from json_to_recordset($1) as r (asset_guid text, revision text, asset text, version bigint)
    join master using (asset_guid, revision)
    cross join lateral (
      select files, result from asset
      where asset.master = master.id and asset.asset = r.asset and asset.version = r.version
        and state = 'made'
      offset 0
    ) made`,
}
