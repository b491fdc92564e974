import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { startPostgres } from '../../services/local/postgres.ts'

/** Nobody pulls the plug on a test, and a killed server loses nothing by this. */
const SETTINGS = { fsync: 'off' }

export interface TestPostgres {
  /** The connection string of a new, empty database. */
  database(): Promise<string>
  /** Connections to one of them, for looking behind the catalogue. */
  open(dsn: string): Database
  /** Takes the server away. */
  down(): Promise<void>
  /** Brings it back, with all that it had. */
  up(): Promise<void>
  /** Ends the server and removes its files. Whatever still uses it sees a lost connection. */
  stop(): Promise<void>
}

/** Starts a server for one test file, in a temporary folder: call it once, and stop it in a teardown. */
export async function testPostgres(
  settings: Readonly<Record<string, string>> = SETTINGS,
): Promise<TestPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  let postgres = await startPostgres({ dataDir, settings })
  const admin = openDatabase({ dsn: postgres.dsn, poolSize: 1 })
  const opened: Database[] = [admin]
  return {
    database: async () => {
      const name = `test_${randomBytes(6).toString('hex')}`
      await admin.query({ text: `create database ${name}` })
      return postgres.dsn.replace('/postgres?', `/${name}?`)
    },
    open: (dsn) => {
      const database = openDatabase({ dsn, poolSize: 2 })
      opened.push(database)
      return database
    },
    down: () => postgres.stop(),
    up: async () => {
      postgres = await startPostgres({ dataDir, settings })
    },
    stop: async () => {
      await Promise.all(opened.map((database) => database.close()))
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
      if (postgres.dataDir !== dataDir) await rm(postgres.dataDir, { recursive: true })
    },
  }
}
