import type { Query } from '../database.ts'

/**
 * Removes at most `limit` events and `limit` settled dead letters that are older than `days`.
 * @returns how many; fewer than `limit` when nothing so old is left
 */
export async function forget(query: Query, days: number, limit: number): Promise<number> {
  const events = await query(EVENTS, [days, limit])
  const letters = await query(LETTERS, [days, limit])
  return Math.max(events.length, letters.length)
}

// Several processes may do this at once: what one has before it the others leave alone.
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
