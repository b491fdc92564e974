import { atOnce, type Database, type Query } from '../database.ts'
import { type Batched, type Index, MIGRATIONS, type Migration } from './migrations.ts'

/** The key of the advisory lock: an arbitrary number that no other program uses. */
export const LOCK = 7_472_616_368
/** The time limit of a migration, and of waiting for another service's, ms. */
const LONGEST_MS = 600_000

/**
 * Migrates the schema, up to the first migration of a big table that has rows, which `migrateBatches` carries on with.
 * All services may call this at once: one of them does it, and the others wait. A schema that is newer than this release
 * is left alone. Without statistics, as after a restore, the tables are analyzed.
 */
export async function migrate(
  database: Database,
  signal?: AbortSignal,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  await database.transaction(async (query) => {
    // A service that waits here waits for all migrations that another service applies.
    await query({ text: `set local statement_timeout = ${LONGEST_MS}` })
    await query({ text: 'select pg_advisory_xact_lock($1)', waitMs: LONGEST_MS }, [LOCK])
    await query({
      text: `create table if not exists migration (
        number int primary key,
        name text not null,
        applied_at timestamptz not null default now()
      );
      create table if not exists migration_cursor (
        number int primary key,
        cursor text not null,
        done bigint not null,
        total bigint not null,
        moved_at timestamptz not null default now()
      )`,
    })
    const last = await lastApplied(query)
    const other = await query({ text: FIRST_IS_OTHER }, [MIGRATIONS[0]?.name])
    if (other.length > 0)
      throw new Error(
        'the tables of this database are those of version 0.1, which cannot be upgraded: use an empty database',
      )
    for (const [index, migration] of migrations.slice(last).entries()) {
      const isOfBig = isBatched(migration) || isIndex(migration)
      if (isOfBig && (await rowsOf(query, migration)) > 0) break
      if (isIndex(migration)) await query({ text: `create index ${definition(migration)}` })
      await applyNext(query, last + index + 1, migration)
    }
    if ((await query({ text: HAS_NO_STATISTICS })).length === 0) return
    await query({ text: `analyze ${BIG_TABLES.join(', ')}`, waitMs: LONGEST_MS })
  }, signal)
}

export function isBatched(migration: Migration): migration is Batched {
  return 'batch' in migration
}

export function isIndex(migration: Migration): migration is Index {
  return 'index' in migration
}

/** What follows `create index` and `create index concurrently`. */
export function definition({ index, on }: Index): string {
  return `${index} on ${on}`
}

/** The number of the last migration that was applied; 0: none. */
export async function lastApplied(query: Query): Promise<number> {
  const [applied] = await query<{ last: number }>({ text: LAST })
  return applied?.last ?? 0
}

/** The number of rows that a migration of a big table is about, as far as is known. */
export async function rowsOf(query: Query, { all }: Batched | Index): Promise<number> {
  const [found] = await query<{ all: number }>({ text: all })
  return found?.all ?? 0
}

/** Applies a migration and notes it; of one of a big table notes that it is done. */
export async function applyNext(
  query: Query,
  number: number,
  migration: Migration,
): Promise<void> {
  const { name } = migration
  if ('sql' in migration) await query({ text: migration.sql, waitMs: LONGEST_MS })
  await query({ text: 'insert into migration (number, name) values ($1, $2)' }, [number, name])
}

/** The state of a schema's migration, and the target of this release. */
export interface SchemaState {
  /** The number of the last migration that was applied; 0: none. */
  readonly applied: number
  readonly known: number
  /** Whether the user of this connection may read and write the rows; undefined before the tables exist. */
  readonly isWritable: boolean | undefined
  readonly user: string
  /** The server's clock. */
  readonly now: Date
}

/** Reads the state of the schema. @throws when the database does not answer. */
export async function schemaState(
  database: Database,
  signal?: AbortSignal,
): Promise<SchemaState> {
  const [at] = await database.query<{ user: string; now: Date; rows: string | null }>(
    {
      text: `select current_user as user, clock_timestamp() as now, to_regclass('job') as rows`,
    },
    [],
    signal,
  )
  const { user = '', now = new Date(Number.NaN), rows = null } = at ?? {}
  const known = MIGRATIONS.length
  if (rows === null) return { applied: 0, known, isWritable: undefined, user, now }
  const [may] = await database.query<{ write: boolean }>({ text: MAY_WRITE }, [], signal)
  if (!may?.write) return { applied: 0, known, isWritable: false, user, now }
  const applied = await lastApplied(atOnce(database, signal))
  return { applied, known, isWritable: true, user, now }
}

/** The tables that grow with the catalogue. */
const BIG_TABLES = ['job', 'track', 'master', 'asset', 'track_listing', 'event', 'watch']
const HAS_NO_STATISTICS = `
  select where exists (select from track_listing) and not exists (
    select from pg_stats where schemaname = current_schema() and tablename = 'track_listing')`
const FIRST_IS_OTHER = 'select from migration where number = 1 and name <> $1'
const LAST = 'select coalesce(max(number), 0) as last from migration'
/** Checks one table for all of them: the user that migrated owns all. */
const MAY_WRITE = `select has_table_privilege('job', 'select') and has_table_privilege('job', 'insert')
  and has_table_privilege('job', 'update') and has_table_privilege('migration', 'select') as write`
