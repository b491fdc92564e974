import type { RunEnded } from '../../contracts/messages/run.ts'
import type { Query } from '../database.ts'
import { instant, rows } from '../parameters.ts'

/** The names of a track that jobs may give, independently of each other. */
const NAMES = ['title', 'artist'] as const

/**
 * Records what tracks are: the current revision of each, by the runs `read`, and its names, by all `runs`. Of each the
 * job that was accepted last decides. A job without a name changes nothing; an empty text removes the name. A name that
 * no job has given is that of the master's tags or file name.
 * @returns the tracks that are new or have changed
 */
export async function recordTracks(
  query: Query,
  read: readonly RunEnded[],
  runs: readonly RunEnded[],
): Promise<ReadonlySet<string>> {
  const tracks = new Map<string, Track>()
  const change = ({ request: { asset_guid } }: RunEnded, of: Track) =>
    tracks.set(asset_guid, { ...tracks.get(asset_guid), ...of })
  for (const run of read) {
    const at = instant(run.accepted)
    const before = tracks.get(run.request.asset_guid)?.revision
    if (run.master === null || at < (before?.at ?? '')) continue
    change(run, { revision: { text: run.master.revision, at } })
  }
  for (const run of runs)
    for (const field of NAMES) {
      const text = run.request[field] ?? run.master?.[field]
      if (text === undefined) continue
      const found = run.request[field] === undefined
      const name = { text, found, at: instant(run.accepted) }
      if (isBetter(name, tracks.get(run.request.asset_guid)?.[field]))
        change(run, { [field]: name })
    }
  if (tracks.size === 0) return new Set()
  const changed = await query<{ track: string }>(RECORD, [rows([...tracks].map(columns))])
  return new Set(changed.map(({ track }) => track))
}

/** What runs say of a track, each with when the job was accepted that says so. */
interface Track {
  readonly revision?: { readonly text: string; readonly at: string }
  readonly title?: Name
  readonly artist?: Name
}

interface Name {
  readonly text: string
  /** Whether the name was found in the master and not given by a job. */
  readonly found: boolean
  readonly at: string
}

function columns([asset_guid, { revision, title, artist }]: readonly [string, Track]): object {
  return {
    ...{ asset_guid, revision: revision?.text, accepted_at: revision?.at },
    ...{ title: title?.text, title_at: title?.at, title_found: title?.found },
    ...{ artist: artist?.text, artist_at: artist?.at, artist_found: artist?.found },
  }
}

/** Whether a name replaces another: a name from a job replaces one that was found; otherwise the later one wins. */
function isBetter(next: Name, old: Name | undefined): boolean {
  if (old === undefined) return true
  return next.found === old.found ? next.at >= old.at : old.found
}

const IS_LATER = `excluded.revision is not null
  and (old.accepted_at is null or excluded.accepted_at >= old.accepted_at)`

const isRenamed = (field: string) => `excluded.${field} is not null and (old.${field} is null
  or old.${field}_found and not excluded.${field}_found
  or old.${field}_found = excluded.${field}_found and excluded.${field}_at >= old.${field}_at)`

const columnsOf = (field: string) => [field, `${field}_at`, `${field}_found`]
const COLUMNS = ['revision', 'accepted_at', ...NAMES.flatMap(columnsOf)]

const changes = (columns: readonly string[], condition: string) =>
  columns
    .map(
      (column) =>
        `${column} = case when ${condition} then excluded.${column} else old.${column} end`,
    )
    .join(', ')

const isOther = (columns: readonly string[]) => {
  const of = (row: string) => columns.map((column) => `${row}.${column}`).join(', ')
  return `(${of('excluded')}) is distinct from (${of('old')})`
}

const RECORD = {
  name: 'tracks-record',
  text: `
    insert into track as old (asset_guid, first_seen, ${COLUMNS.join(', ')})
    select asset_guid, case when revision is not null then now() end, ${COLUMNS.join(', ')}
    from json_to_recordset($1) as r (asset_guid text, revision text, accepted_at timestamptz,
      title text, title_at timestamptz, title_found boolean,
      artist text, artist_at timestamptz, artist_found boolean)
    order by asset_guid collate "C"
    on conflict (asset_guid) do update set
      first_seen = coalesce(old.first_seen, excluded.first_seen),
      ${changes(['revision', 'accepted_at'], IS_LATER)},
      ${NAMES.map((field) => changes(columnsOf(field), isRenamed(field))).join(', ')}
    where (${IS_LATER}) and ${isOther(['revision', 'accepted_at'])}
      or ${NAMES.map((field) => `(${isRenamed(field)}) and ${isOther(columnsOf(field))}`).join(' or ')}
    returning asset_guid as track`,
}
