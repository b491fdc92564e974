import { setTimeout as sleep } from 'node:timers/promises'
import type { Database, Query } from '../database.ts'
import {
  applyNext,
  definition,
  isBatched,
  isIndex,
  LOCK,
  lastApplied,
  rowsOf,
} from './migrate.ts'
import { type Index, MIGRATIONS, type Migration } from './migrations.ts'

/** How long a batch should take, ms: other statements wait for its rows no longer than that. */
const GOOD_MS = 200
/** The time limit of a batch, ms. One that is too large by so much is tried again with half of the rows. */
const LONGEST_MS = 2_000
const FIRST_ROWS = 500
const MAX_ROWS = 20_000

/** The key of the advisory lock of who builds an index: services that start do not wait for it. */
const INDEX_LOCK = 7_472_616_373
/** The time limit of an index, ms: one of 8.5 million rows takes minutes. */
const INDEX_MS = 6 * 3600_000

/** How far a batched migration is. */
export interface Progress {
  readonly number: number
  readonly name: string
  /** Rows that have been looked at. */
  readonly rows: number
  /** Rows that there are, about; null when nobody has looked yet. */
  readonly all: number | null
}

/**
 * Carries on with migrations of big tables, and applies those that wait for them, until none is left. Any number of
 * services may call this at once: one of them does the batches at a time. A process that dies loses its last batch at
 * most, or the index that it was building.
 * `said` hears of the progress after each batch.
 * @throws when the database does not answer; what was committed stays, and the next call goes on there
 */
export async function migrateBatches(
  database: Database,
  {
    signal,
    said = () => {},
    migrations = MIGRATIONS,
  }: {
    readonly signal?: AbortSignal
    readonly said?: (progress: Progress) => void
    readonly migrations?: readonly Migration[]
  } = {},
): Promise<void> {
  let rows = FIRST_ROWS
  for (;;) {
    signal?.throwIfAborted()
    const began = performance.now()
    let done: Done | Index | undefined
    try {
      done = await database.transaction((query) => oneBatch(query, migrations, rows), signal)
    } catch (error) {
      // Canceled by the limit of the statement: 57014.
      if ((error as { code?: unknown }).code !== '57014' || rows <= 1) throw error
      rows = Math.ceil(rows / 2)
      continue
    }
    if (done === 'all') return
    if (typeof done === 'object' && 'index' in done) {
      await build(database, done, signal)
      done = 'busy'
    }
    const ms = performance.now() - began
    if (typeof done === 'object') {
      said(done)
      const fitting = (rows * GOOD_MS) / Math.max(ms, 1)
      rows = Math.min(MAX_ROWS, Math.max(1, Math.round((rows + fitting) / 2)))
    }
    // As long as it took, so that the database is busy with it half of the time at most.
    await sleep(done === 'busy' ? LONGEST_MS : ms, undefined, { signal })
  }
}

/** `busy`: another service is at it; an index: that one is to be built. */
type Done = Progress | 'all' | 'busy'

interface Cursor {
  readonly cursor: string | null
  readonly rows: number
  readonly all: number | null
}

async function oneBatch(
  query: Query,
  migrations: readonly Migration[],
  limit: number,
): Promise<Done | Index> {
  await query({ text: `set local statement_timeout = ${LONGEST_MS}` })
  const [lock] = await query<{ mine: boolean }>(
    { text: 'select pg_try_advisory_xact_lock($1) as mine' },
    [LOCK],
  )
  const last = await lastApplied(query)
  const next = migrations[last]
  if (next === undefined) return 'all'
  if (!lock?.mine) return 'busy'
  const number = last + 1
  const isMissing =
    isIndex(next) && (await query({ text: IS_BUILT }, [next.index])).length === 0
  if (isMissing) return next
  if (!isBatched(next)) {
    await applyNext(query, number, next)
    return { number, name: next.name, rows: 0, all: 0 }
  }
  const [at] = await query<Cursor>({ text: CURSOR }, [number])
  const all = at?.all ?? (await rowsOf(query, next))
  const [batch] = await query<{ cursor: string | null; rows: number }>({ text: next.batch }, [
    at?.cursor ?? null,
    limit,
  ])
  const { cursor = null, rows = 0 } = batch ?? {}
  const progress = { number, name: next.name, rows: (at?.rows ?? 0) + rows, all }
  if (cursor === null || rows === 0) await applyNext(query, number, next)
  else await query({ text: MOVE }, [number, cursor, progress.rows, all])
  return progress
}

/**
 * Builds an index while others write to its table. One that a process left unfinished is begun anew. Does nothing while
 * another service builds it.
 */
async function build(database: Database, index: Index, signal?: AbortSignal): Promise<void> {
  await database.transaction(async (query) => {
    // The lock is held by a transaction that is idle for as long as the index takes. An index waits for every snapshot
    // that is older, and a statement with values leaves one open: hence none here, and the setting last.
    const text = `select pg_try_advisory_xact_lock(${INDEX_LOCK}) as mine`
    const [lock] = await query<{ mine: boolean }>({ text })
    await query({ text: 'set local idle_in_transaction_session_timeout = 0' })
    const isBuilt = (await database.query({ text: IS_BUILT }, [index.index], signal)).length > 0
    if (!lock?.mine || isBuilt) return
    const apart = (text: string) => database.query({ text, serverMs: INDEX_MS }, [], signal)
    await apart(`drop index concurrently if exists ${index.index}`)
    await apart(`create index concurrently ${definition(index)}`)
  }, signal)
}

const IS_BUILT = `select from pg_index where indexrelid = to_regclass($1) and indisvalid`

const CURSOR = `
  select cursor, done as rows, total as "all" from migration_cursor where number = $1`

const MOVE = `
  insert into migration_cursor (number, cursor, done, total) values ($1, $2, $3, $4)
  on conflict (number) do update set cursor = excluded.cursor, done = excluded.done, moved_at = now()`
