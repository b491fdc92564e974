import { readFileSync } from 'node:fs'

interface Named {
  readonly name: string
}

/** A migration that is applied at once, in the transaction that notes it. It takes no longer than a statement may. */
interface AtOnce extends Named {
  readonly sql: string
}

/**
 * A migration that touches every row of a big table: batch by batch, while the services run. `batch` is a statement that
 * changes the rows after `$1`, the cursor (text; null at first), `$2` of them at most, and returns one row: `cursor`, the
 * last of them as text, and `rows`, how many there were. It must be right to run it twice. `all` counts or guesses the
 * rows that there are; where it says 0, nothing is done. What the batches fill in must be right in the meantime as well: a trigger or the services write it
 * into rows that are new.
 */
export interface Batched extends Named {
  readonly batch: string
  readonly all: string
}

/**
 * An index of a big table: built while the table is written to. `all` as above: where it says 0, it is built at once. The
 * services must do without it in the meantime.
 */
export interface Index extends Named {
  readonly index: string
  /** What follows `create index … on`. */
  readonly on: string
  readonly all: string
}

export type Migration = AtOnce | Batched | Index

const ALL_TRACKS =
  "select coalesce(sum(count), 0)::bigint as all from kept_count where kind = 'state'"

/** The migration from which on releases are complete for somebody: what changed before it is no news. */
export const CALLBACKS = 'callbacks'

/**
 * The migrations of the schema, oldest first; the number of a migration is its position, from 1. They only go forward:
 * a released migration is never edited, and new ones are appended. Services of two releases run side by side during an
 * update, so a migration must keep the statements of the previous release working. One that touches every row of a big
 * table is batched, and its indexes are built apart (schema/batches.ts). Those after it wait for its end: in each release
 * they are the last, because the services need the others when they start.
 */
export const MIGRATIONS: readonly Migration[] = [
  { name: 'the catalogue', sql: textOf('001-catalogue.sql') },
  { name: 'cancellations', sql: textOf('002-cancellation.sql') },
  { name: 'large lists', sql: textOf('003-large-lists.sql') },
  { name: 'campaigns', sql: textOf('004-campaigns.sql') },
  { name: 'costs', sql: textOf('005-costs.sql') },
  { name: 'quotas', sql: textOf('006-quotas.sql') },
  { name: 'forecasts', sql: textOf('007-forecasts.sql') },
  { name: 'releases', sql: textOf('008-releases.sql') },
  { name: CALLBACKS, sql: textOf('009-callbacks.sql') },
  {
    name: 'an index of the words in the list',
    index: 'track_listing_words',
    on: 'track_listing using gin (words) where words is not null',
    all: ALL_TRACKS,
  },
  {
    name: 'words of the tracks that are there',
    all: ALL_TRACKS,
    batch: `
      with batch as materialized (
        select asset_guid from track_listing where asset_guid > coalesce($1, '')
        order by asset_guid limit $2 for update
      ), changed as (
        update track_listing listed set words = listed_words(title, artist)
        from batch join track using (asset_guid)
        where listed.asset_guid = batch.asset_guid
          and listed.words is distinct from listed_words(title, artist)
      )
      select max(asset_guid) as cursor, count(*)::int as rows from batch`,
  },
  {
    name: 'an index of every state, done too',
    index: 'track_listing_every_state',
    on: 'track_listing (state, updated_at, asset_guid)',
    all: ALL_TRACKS,
  },
  {
    name: 'indexes that others have taken the place of',
    sql: 'drop index track_words, track_listing_state',
  },
  {
    name: 'releases of the jobs that are there',
    all: ALL_TRACKS,
    batch: `
      with batch as materialized (
        select id, asset_guid, accepted_at, release_of(request) as release_id from job
        where id > coalesce($1, '') order by id limit $2
      ), added as materialized (
        select add_to_releases(array_agg(release_id), array_agg(asset_guid), array_agg(id), array_agg(accepted_at))
        from batch where release_id is not null
      )
      select max(id) as cursor, count(*)::int as rows, (select count(*) from added) as added from batch`,
  },
]

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
}
