import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { openDatabase } from '#shared/catalogue/database.ts'
import { startPostgres } from '../../local/postgres/postgres.ts'
import { together } from './queue.ts'

/** Connections of each pool. Six processes with two pools share the server's. */
export const CONNECTIONS = 20
const MAX_CONNECTIONS = '300'
/** What a commit needs to be on disk before it is answered. */
const DURABLE = ['fsync', 'synchronous_commit', 'full_page_writes']

/** Starts the project's own PostgreSQL, durable as it always is, with a table for what has become of jobs. */
export async function startRows(folder: string) {
  const settings = { max_connections: MAX_CONNECTIONS }
  const server = await startPostgres({ dataDir: join(folder, 'postgres'), settings })
  const database = openDatabase({ dsn: server.dsn, poolSize: 1 })
  for (const setting of DURABLE) {
    const [row = {}] = await database.query({ text: `show ${setting}` })
    if (Object.values(row)[0] !== 'on') throw new Error(`${setting} is not on`)
  }
  await database.query({
    text: `create table published (request_id text primary key, asset_guid text not null,
      revision text not null, derivative_assets text[] not null, at timestamptz not null default now())`,
  })
  return {
    dsn: server.dsn,
    pid: server.pid,
    async recorded(): Promise<number> {
      const text = 'select count(*) from published'
      const [row] = await database.query<{ count: number }>({ text })
      return row?.count ?? 0
    },
    settle: () => analyze(server.dsn),
    async stop(): Promise<void> {
      await database.close()
      await server.stop()
      // The server's account may not be able to enter the folder: then its files are elsewhere.
      await rm(server.dataDir, { recursive: true, force: true })
    },
  }
}

/** The table as the last step of a chain writes it. */
export function openRows(dsn: string) {
  const database = openDatabase({ dsn, poolSize: CONNECTIONS })
  const text = `insert into published (request_id, asset_guid, revision, derivative_assets)
    select request_id, asset_guid, revision, derivative_assets from jsonb_to_recordset($1)
      as job (request_id text, asset_guid text, revision text, derivative_assets text[])
    on conflict do nothing`
  return {
    record: together((jobs) =>
      database.query({ name: 'publish', text }, [JSON.stringify(jobs)]),
    ),
    close: () => database.close(),
  }
}

/** Makes statistics of all tables of a database. */
export async function analyze(dsn: string): Promise<void> {
  const database = openDatabase({ dsn, poolSize: 1, statementMs: 60_000 })
  await database.query({ text: 'analyze' })
  await database.close()
}
