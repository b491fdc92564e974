import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { startPostgres } from './postgres.ts'

/** fsync only protects against a loss of power, which does not matter in a test. */
export const SETTINGS = { fsync: 'off' }
/** The environment variable by which a run of many files names the server that they share. */
export const SHARED = 'TEST_POSTGRES'

export interface TestPostgres {
  /** The connection string of a new, empty database. */
  database(): Promise<string>
  /** Opens connections to one of them, to look behind the catalogue. */
  open(dsn: string): Database
  /** Removes the databases. Clients that still use them lose their connections. */
  stop(): Promise<void>
}

/** A server that no other test uses, so that it may be stopped. */
interface OwnPostgres extends TestPostgres {
  /** Stops the server. */
  down(): Promise<void>
  /** Starts it again, with all its data. */
  up(): Promise<void>
}

/** The server that the files of a run share, or one of this file alone: call it once, and stop it in a teardown. */
export async function testPostgres(): Promise<TestPostgres> {
  const dsn = process.env[SHARED]
  if (dsn === undefined) return ownPostgres()
  const { close, ...databases } = databasesOf(dsn)
  return { ...databases, stop: () => close({ drops: true }) }
}

/** Starts a server in a temporary folder. */
export async function ownPostgres(
  settings: Readonly<Record<string, string>> = SETTINGS,
): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'trackchain-test-'))
  let postgres = await startPostgres({ dataDir, settings })
  const { close, ...databases } = databasesOf(postgres.dsn)
  return {
    ...databases,
    down: () => postgres.stop(),
    up: async () => {
      postgres = await startPostgres({ dataDir, settings })
    },
    stop: async () => {
      await close({ drops: false })
      await postgres.stop()
      await rm(dataDir, { recursive: true, force: true })
      if (postgres.dataDir !== dataDir) await rm(postgres.dataDir, { recursive: true })
    },
  }
}

function databasesOf(dsn: string) {
  const admin = openDatabase({ dsn, poolSize: 1 })
  const opened: Database[] = []
  const made: string[] = []
  return {
    database: async () => {
      const name = `test_${randomBytes(6).toString('hex')}`
      await admin.query({ text: `create database ${name}` })
      made.push(name)
      return dsn.replace('/postgres?', `/${name}?`)
    },
    open: (of: string) => {
      const database = openDatabase({ dsn: of })
      opened.push(database)
      return database
    },
    async close({ drops }: { readonly drops: boolean }) {
      await Promise.all(opened.map((database) => database.close()))
      for (const name of drops ? made : [])
        await admin.query({ text: `drop database if exists ${name} with (force)` })
      await admin.close()
    },
  }
}
