import type { Database } from '../database.ts'

/**
 * Removes at most `limit` events and `limit` settled dead letters that are older than `days` days.
 * @returns how many were removed; fewer than `limit` when none of that age are left
 */
export async function forget(
  database: Database,
  days: number,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  const events = await database.query(EVENTS, [days, limit], signal)
  const letters = await database.query(LETTERS, [days, limit], signal)
  return Math.max(events.length, letters.length)
}

// Several processes may do this at once: rows that one of them has locked are skipped by the others.
const EVENTS = {
  name: 'events-forget',
  text: `
    delete from event where id in (
      select id from event where at < now() - make_interval(days => $1)
      limit $2 for update skip locked
    ) returning 1`,
}

const LETTERS = {
  name: 'letters-forget',
  text: `
    delete from dead_letter where id in (
      select id from dead_letter
      where settled_at < now() - make_interval(days => $1) and state <> 'open'
      limit $2 for update skip locked
    ) returning 1`,
}
