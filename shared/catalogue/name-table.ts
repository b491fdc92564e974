import type { RunEnded } from '../messages/run.ts'
import type { Query } from './database.ts'
import { instant, rows } from './parameter.ts'

/** What jobs may say of a track, each for itself. */
const FIELDS = ['title', 'artist'] as const

/** What a track is called, as the latest job that said so has it. */
export type TrackNames = Readonly<Partial<Record<(typeof FIELDS)[number], string>>>

/**
 * Records what runs say that their tracks are called: of each field what the job said that was accepted last. A job
 * that says nothing changes nothing; one that says an empty text takes the name away.
 */
export async function recordNames(query: Query, runs: readonly RunEnded[]): Promise<void> {
  const names = new Map<string, Name>()
  for (const { request, accepted } of runs) {
    const given_at = instant(accepted)
    for (const field of FIELDS) {
      const name = request[field]
      const { asset_guid } = request
      const key = `${asset_guid} ${field}`
      if (name === undefined || given_at < (names.get(key)?.given_at ?? '')) continue
      names.set(key, { asset_guid, field, name, given_at })
    }
  }
  if (names.size > 0) await query(RECORD, [rows([...names.values()])])
}

interface Name {
  readonly asset_guid: string
  readonly field: string
  readonly name: string
  readonly given_at: string
}

const RECORD = {
  name: 'track-names-record',
  text: `
    insert into track_name (asset_guid, field, name, given_at)
    select asset_guid, field, name, given_at
    from json_to_recordset($1) as r (asset_guid text, field text, name text, given_at timestamptz)
    order by asset_guid collate "C", field collate "C"
    on conflict (asset_guid, field) do update set
      name = excluded.name, given_at = excluded.given_at
    where excluded.given_at >= track_name.given_at
      and (excluded.name, excluded.given_at) <> (track_name.name, track_name.given_at)`,
}
