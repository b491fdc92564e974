import type { RunEnded } from '../../contracts/messages/run.ts'
import type { Query } from '../database.ts'
import { instant, rows } from '../parameters.ts'

/** The names of a track that jobs may give, independently of each other. */
const FIELDS = ['title', 'artist'] as const

/**
 * Records the names of tracks that runs carry. For each field, the job that was accepted last wins. A job without the
 * field changes nothing; an empty text removes the name. A field that no job has given has the value of the master's
 * tags or file name.
 */
export async function recordNames(query: Query, runs: readonly RunEnded[]): Promise<void> {
  const names = new Map<string, Name>()
  for (const { request, master, accepted } of runs) {
    const given_at = instant(accepted)
    for (const field of FIELDS) {
      const found = request[field] === undefined
      const name = request[field] ?? master?.[field]
      const { asset_guid } = request
      const key = `${asset_guid} ${field}`
      if (name === undefined) continue
      const next = { asset_guid, field, name, found, given_at }
      if (isBetter(next, names.get(key))) names.set(key, next)
    }
  }
  if (names.size > 0) await query(RECORD, [rows([...names.values()])])
}

interface Name {
  readonly asset_guid: string
  readonly field: string
  readonly name: string
  /** Whether the name was found in the master and not given by a job. */
  readonly found: boolean
  readonly given_at: string
}

/** Whether a name replaces another: a name from a job replaces one that was found; otherwise the later one wins. */
function isBetter(next: Name, old: Name | undefined): boolean {
  if (old === undefined) return true
  return next.found === old.found ? next.given_at >= old.given_at : old.found
}

const RECORD = {
  name: 'track-names-record',
  text: `
    insert into track_name (asset_guid, field, name, found, given_at)
    select asset_guid, field, name, found, given_at
    from json_to_recordset($1) as r (asset_guid text, field text, name text, found boolean,
      given_at timestamptz)
    order by asset_guid collate "C", field collate "C"
    on conflict (asset_guid, field) do update set
      name = excluded.name, found = excluded.found, given_at = excluded.given_at
    where track_name.found and not excluded.found
      or track_name.found = excluded.found and excluded.given_at >= track_name.given_at
        and (excluded.name, excluded.given_at) <> (track_name.name, track_name.given_at)`,
}
