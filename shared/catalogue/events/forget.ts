import type { Database } from '../database.ts'

/** How long figures are kept, days: what came to in ten minutes, and what was counted by the minute. */
const FIGURE_DAYS = 400
/** How long it is kept what events came to in a minute, days. */
export const MINUTE_DAYS = 2
/** How long callbacks are kept, days. */
const CALLBACK_DAYS = 90
/** How long it is kept where tracks stood in lists before, days. */
const PLACE_DAYS = 2
/** How long a change of the partitions waits for the table of events, ms: statements that come meanwhile wait, too. */
const LOCK_MS = 2_000

/** Makes the partitions of events of the coming days, so that events of a day lie together. */
export async function addEventDays(database: Database, signal?: AbortSignal): Promise<void> {
  await database.transaction(async (query) => {
    await query({ text: `set local lock_timeout = ${LOCK_MS}` })
    await query({
      text: `select add_event_day((now() at time zone 'utc')::date + day) from generate_series(-1, 3) day`,
    })
  }, signal)
}

/** Drops the partitions of events that are older than `days` days. @returns how many there were */
export async function dropEventDays(
  database: Database,
  days: number,
  signal?: AbortSignal,
): Promise<number> {
  return database.transaction(async (query) => {
    await query({ text: `set local lock_timeout = ${LOCK_MS}` })
    const text = `select drop_event_days((now() at time zone 'utc')::date - $1::int) as gone`
    const [found] = await query<{ gone: number }>({ text }, [days])
    return found?.gone ?? 0
  }, signal)
}

/**
 * Removes at most `limit` events of days without a partition, and as many settled dead letters, that are older than
 * `days` days; and as many figures and cancellations that are older than 400, and callbacks older than 90.
 * @returns how many events or letters were removed; fewer than `limit` when none of that age are left
 */
export async function forget(
  database: Database,
  days: number,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  const events = await database.query(EVENTS, [days, limit], signal)
  const letters = await database.query(LETTERS, [days, limit], signal)
  await database.query(FIGURES, [limit], signal)
  return Math.max(events.length, letters.length)
}

/** Forgets at most `limit` places where tracks stood in lists until two days ago. @returns how many */
export async function forgetPlaces(
  database: Database,
  limit: number,
  signal?: AbortSignal,
): Promise<number> {
  return (await database.query(PLACES, [limit], signal)).length
}

// Several processes may do this at once: rows that one of them has locked are skipped by the others.
const EVENTS = {
  name: 'events-forget',
  text: `
    delete from event_other where (at, id) in (
      select at, id from event_other where at < now() - make_interval(days => $1)
      limit $2 for update skip locked
    ) returning 1`,
}

const PLACES = {
  name: 'places-forget',
  text: `
    delete from track_place where ctid = any (array(
      select ctid from track_place where until < now() - interval '${PLACE_DAYS} days'
      limit $1 for update skip locked)) returning 1`,
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

const old = (table: string, time: string, key: string, days: number) => `
  delete from ${table} where (${key}) in (
    select ${key} from ${table} where ${time} < now() - interval '${days} days'
    limit $1 for update skip locked)`

const ACTIVITY_KEY = 'bucket, step, verdict, route, asset, class'

const FIGURES = {
  name: 'figures-forget',
  text: `
    with minutes as (${old('minute_count', 'minute', 'minute, shard', FIGURE_DAYS)}),
      beginnings as (${old('beginning', 'minute', 'route, minute', 2)}),
      fine as (${old('activity_minute', 'minute', 'minute, step, verdict, class', MINUTE_DAYS)}),
      cancelled as (${old('cancellation', 'at', 'number', FIGURE_DAYS)}),
      named as (${old('event_once', 'recorded_at', 'id', FIGURE_DAYS)}),
      called as (${old('callback', 'relayed_at', 'number', CALLBACK_DAYS)}),
      days as (${old('activity_day', 'bucket', ACTIVITY_KEY, FIGURE_DAYS)})
    ${old('activity', 'bucket', ACTIVITY_KEY, FIGURE_DAYS)}`,
}
