import t from 'tap'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { type Known, readsOf } from '../../../tools/bench/catalogue-reads.ts'
import { fillCatalogue } from '../../../tools/bench/fill-catalogue.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { patient } from '../../support/patience.ts'

// The plans of every read of the API on a catalogue that is large enough for the database to choose as it would with
// millions of tracks.

const TRACKS = 60_000
/** The tables that grow with the catalogue, of which the database must never read every row. */
const GROWING = /^(?:job|track|master|asset|track_listing|event_\d+)$/

t.setTimeout(patient(120_000))
const postgres = await testPostgres()
t.teardown(() => postgres.stop())
const database = openDatabase({ dsn: await postgres.database(), statementMs: patient(60_000) })
t.teardown(() => database.close())
await migrate(database)
await fillCatalogue(database, TRACKS)
const filled = await database.query<{ name: string }>({
  text: 'select relname as name from pg_class where reltuples > 1000',
})
const big = new Set(filled.map(({ name }) => name).filter((name) => GROWING.test(name)))

t.test('no read of the API reads a big table from end to end', async (t) => {
  const text = `
    select asset_guid as guid, job, request_id as request from track_listing
    order by updated_at desc offset 1000 limit 1`
  const [known] = await database.query<Known>({ text })
  if (known === undefined) throw new Error('nothing was filled in')
  t.equal(big.size, 6, [...big].join(', '))
  for (const { name, of } of readsOf(known)) {
    const scans: string[] = []
    await of(watched(scans))
    t.same(scans, [], name)
  }
})

t.test('which is noticed where one does', async (t) => {
  for (const bad of [
    'select * from track_listing where loudness < -13.99',
    'select state, count(*) from track_listing group by state',
  ]) {
    const scans: string[] = []
    await watched(scans).query({ text: bad })
    t.same(scans, ['track_listing'], bad)
  }
})

/** The database, which notes the big tables that a statement would read as a whole before it runs it. */
function watched(scans: string[]): Database {
  return {
    ...database,
    async query(statement, values, signal) {
      if (!statement.text.startsWith('explain')) {
        const text = `explain (format json) ${statement.text}`
        const [found] = await database.query<{ 'QUERY PLAN': { Plan: Node }[] }>(
          { text },
          values,
        )
        scans.push(...scansOf(found?.['QUERY PLAN'][0]?.Plan))
      }
      return database.query(statement, values, signal)
    },
  }
}

interface Node {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly Plans?: readonly Node[]
}

function scansOf(node: Node | undefined): string[] {
  const { 'Node Type': type = '', 'Relation Name': table = '', Plans = [] } = node ?? {}
  const own = type === 'Seq Scan' && big.has(table) ? [table] : []
  return [...own, ...Plans.flatMap(scansOf)]
}
