import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { startPostgres } from './postgres.ts'

/** Nobody pulls the plug on a test, and a killed server loses nothing by this. */
const SETTINGS = { fsync: 'off' }
/** Where a run of many files says which server they share. */
const SHARED = 'TEST_POSTGRES'
/** Of the shared server: each file that runs has some pools of connections, and services that have theirs. */
const MAX_CONNECTIONS = '500'

export interface TestPostgres {
  /** The connection string of a new, empty database. */
  database(): Promise<string>
  /** Connections to one of them, for looking behind the catalogue. */
  open(dsn: string): Database
  /** Removes the databases; whatever still uses them sees a lost connection. */
  stop(): Promise<void>
}

/** A server that no other test uses, so that it may go. */
interface OwnPostgres extends TestPostgres {
  /** Takes the server away. */
  down(): Promise<void>
  /** Brings it back, with all that it had. */
  up(): Promise<void>
}

/** The server that the files of a run share, or one of this file alone: call it once, and stop it in a teardown. */
export async function testPostgres(): Promise<TestPostgres> {
  const dsn = process.env[SHARED]
  if (dsn === undefined) return ownPostgres()
  const { admin, opened, made, ...databases } = databasesOf(dsn)
  return {
    ...databases,
    stop: async () => {
      await Promise.all(opened.map((database) => database.close()))
      for (const name of made)
        await admin.query({ text: `drop database if exists ${name} with (force)` })
      await admin.close()
    },
  }
}

/** Starts a server in a temporary folder. */
export async function ownPostgres(
  settings: Readonly<Record<string, string>> = SETTINGS,
): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  let postgres = await startPostgres({ dataDir, settings })
  const { admin, opened, made: _, ...databases } = databasesOf(postgres.dsn)
  return {
    ...databases,
    down: () => postgres.stop(),
    up: async () => {
      postgres = await startPostgres({ dataDir, settings })
    },
    stop: async () => {
      await Promise.all([admin, ...opened].map((database) => database.close()))
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
      if (postgres.dataDir !== dataDir) await rm(postgres.dataDir, { recursive: true })
    },
  }
}

/**
 * Starts the server that the files of a run share: to start one takes more than a core second.
 * @returns what they have to find in their environment, and how to end it
 */
export async function sharedPostgres(): Promise<{
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}> {
  const dataDir = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  const settings = { ...SETTINGS, max_connections: MAX_CONNECTIONS }
  const postgres = await startPostgres({ dataDir, settings })
  return {
    env: { [SHARED]: postgres.dsn },
    stop: async () => {
      await postgres.stop()
      for (const folder of new Set([dataDir, postgres.dataDir]))
        await rm(folder, { recursive: true, force: true })
    },
  }
}

function databasesOf(dsn: string) {
  const admin = openDatabase({ dsn, poolSize: 1 })
  const opened: Database[] = []
  const made: string[] = []
  return {
    ...{ admin, opened, made },
    database: async () => {
      const name = `test_${randomBytes(6).toString('hex')}`
      await admin.query({ text: `create database ${name}` })
      made.push(name)
      return dsn.replace('/postgres?', `/${name}?`)
    },
    open: (of: string) => {
      const database = openDatabase({ dsn: of, poolSize: 2 })
      opened.push(database)
      return database
    },
  }
}
