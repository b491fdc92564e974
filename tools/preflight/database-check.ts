import { openDatabase } from '#shared/catalogue/database.ts'
import { type SchemaState, schemaState } from '#shared/catalogue/schema/migrate.ts'
import { type Check, type Complaint, judged } from './check.ts'
import { aheadOf } from './clock-check.ts'
import type { Seen } from './seen.ts'

/** Checks that the database answers and has the schema that this release needs. */
export function databaseCheck(dsn: string, limitMs: number, seen: Seen): Check {
  return {
    name: 'database',
    remedy:
      'see that TRACKCHAIN_DATABASE is right and that the network lets this place reach it',
    async run(signal) {
      const limits = { poolSize: 1, connectMs: limitMs, statementMs: limitMs }
      const database = openDatabase({ dsn, application: 'preflight', ...limits })
      try {
        const asked = Date.now()
        const schema = await schemaState(database, signal)
        const now = schema.now.getTime()
        const aheadMs = aheadOf({ from: now, to: now }, { from: asked, to: Date.now() })
        seen.clocks.push({ of: 'the database', aheadMs })
        const { applied, known } = schema
        const newer = applied > known ? `, newer than this release's ${known}` : ''
        const well = `answers; schema ${applied}${newer}`
        return [judged('database', complaints(schema), well)]
      } finally {
        // Not awaited: a database that hangs would not close either.
        void database.close()
      }
    },
  }
}

function complaints({ applied, known, isWritable, user }: SchemaState): readonly Complaint[] {
  if (isWritable === false) {
    return [
      {
        state: 'fault',
        found: `user ${user} may not read and write its tables`,
        remedy: `grant select, insert, update on all tables to ${user}`,
      },
    ]
  }
  if (applied >= known) return []
  return [
    {
      state: 'fault',
      found: applied === 0 ? 'not migrated' : `schema ${applied}, this release needs ${known}`,
      remedy: 'start publish or ingest of this release once: they migrate',
    },
  ]
}
