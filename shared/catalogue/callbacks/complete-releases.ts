import { Callback } from '../../contracts/messages/callback.ts'
import { digest } from '../../contracts/names.ts'
import type { Database } from '../database.ts'
import { rows } from '../parameters.ts'
import { type ReleaseStatus, statusOfReleases } from '../releases/read-releases.ts'
import { CALLBACKS } from '../schema/migrations.ts'

/**
 * Looks at releases to which nothing has happened for a while, and adds a callback for each that is complete: none of its
 * jobs is open. Which jobs it has is known by their rows, so that no order of messages, copy or crash can complete it
 * early or twice. One that was looked at is looked at again only when something has happened to it.
 * @param quietMs how long nothing may have happened, ms: its jobs may be submitted one by one
 * @param limit how many are looked at
 * @returns how many were looked at
 */
export async function completeReleases(
  database: Database,
  quietMs: number,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  return await database.transaction(async (query) => {
    // What changes a job holds the row of its release until it commits, so that none of them changes meanwhile.
    const due = await query<{ release: number }>(DUE, [quietMs, limit, CALLBACKS])
    if (due.length === 0) return 0
    const releases = due.map(({ release }) => release)
    const found = await statusOfReleases(query, releases)
    const complete = found.flatMap((status) => callbackOf(status) ?? [])
    if (complete.length > 0) await query(ADD, [rows(complete)])
    await query(LOOKED_AT, [releases])
    return releases.length
  }, signal)
}

function callbackOf({ release, state, counts, changed, isMore }: ReleaseStatus) {
  if (state === 'running') return undefined
  const { running: _, ...tracks } = counts
  const type = 'release.done'
  const at = changed.toISOString()
  const id = digest([type, release, at], 32)
  const more = isMore ? { is_more: true } : {}
  const body = Callback.check({ id, type, at, release_id: release, state, tracks, ...more })
  return { id, type, at, body }
}

const DUE = {
  name: 'releases-due',
  text: `
    select release_id as release from release
    where looked_at is distinct from changed and changed < now() - make_interval(secs => $1 / 1000.0)
      and changed > (select applied_at from migration where name = $3)
    order by changed limit $2 for update skip locked`,
}

const ADD = {
  name: 'callbacks-add',
  text: `
    insert into callback (id, type, at, body)
    select id, type, at, body from json_to_recordset($1) as r (id text, type text, at timestamptz, body json)
    order by at, id
    on conflict (id) do nothing`,
}

const LOOKED_AT = {
  name: 'releases-looked-at',
  text: 'update release set looked_at = changed where release_id = any ($1::bigint[])',
}
