import type { Database } from './database.ts'
import { MIGRATIONS, type Migration } from './migrations.ts'

/** Any number that nobody else takes for an advisory lock. */
const LOCK = 7_472_616_368
const LONGEST_MS = 600_000

/**
 * Brings the schema up to date. All services may call this at once: one does it, the others wait for
 * it. A schema newer than this release is left alone.
 */
export async function migrate(
  database: Database,
  signal?: AbortSignal,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  await database.transaction(async (query) => {
    // Whoever waits here waits for all that another service has to apply.
    await query({ text: `set local statement_timeout = ${LONGEST_MS}` })
    await query({ text: 'select pg_advisory_xact_lock($1)', waitMs: LONGEST_MS }, [LOCK])
    await query({
      text: `create table if not exists migration (
        number int primary key,
        name text not null,
        applied_at timestamptz not null default now()
      )`,
    })
    const [applied] = await query<{ last: number }>({
      text: 'select coalesce(max(number), 0) as last from migration',
    })
    const last = applied?.last ?? 0
    for (const [index, { name, sql }] of migrations.slice(last).entries()) {
      await query({ text: sql, waitMs: LONGEST_MS })
      await query({ text: 'insert into migration (number, name) values ($1, $2)' }, [
        last + index + 1,
        name,
      ])
    }
  }, signal)
}
