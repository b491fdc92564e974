import t from 'tap'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { MAX_SORTED } from '#shared/catalogue/tracks/track-filter.ts'
import { readKnown, readsOf } from '../../../tools/bench/catalogue-reads.ts'
import { fillCatalogue } from '../../../tools/bench/fill-catalogue.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'
import { patient } from '../../support/patience.ts'

// The plans of every read of the API on a catalogue that is large enough for the database to choose as it would with
// millions of tracks.

const TRACKS = 200_000
/** The tables that grow with the catalogue, of which the database must never read every row. */
const GROWING =
  /^(?:job|track|master|asset|track_listing|track_place|event_\d+|campaign_item|campaign_refusal|cost|release|release_job)$/
/** The most rows of such a table that a statement may read, those that it throws away included. */
const MAX_ROWS = 2 * MAX_SORTED

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

t.test('no read of the API reads much of a big table', async (t) => {
  const known = await readKnown(database)
  t.ok(big.size >= 12, [...big].join(', '))
  for (const { name, of } of readsOf(known)) {
    const found: string[] = []
    await of(watched(found))
    t.same(found, [], name)
  }
})

t.test('which is noticed where one does', async (t) => {
  const order = 'order by updated_at desc limit 100'
  for (const [bad, expected] of [
    ['select state, count(*) from track_listing group by state', 'rows of track_listing'],
    ['select * from track_listing where loudness < -13.99', 'all of track_listing'],
    [`select * from track_listing where samples % 44100 = 7 ${order}`, 'rows of track_listing'],
  ] as const) {
    const found: string[] = []
    await watched(found).query({ text: bad })
    t.match(found, [expected], bad)
  }
})

/** The database, which notes what statements read too much of; it runs each of them once more for that. */
function watched(found: string[]): Database {
  return {
    ...database,
    async query(statement, values, signal) {
      if (!statement.text.startsWith('explain')) {
        const text = `explain (analyze, timing off, format json) ${statement.text}`
        const [plan] = await database.query<{ 'QUERY PLAN': { Plan: Node }[] }>(
          { text },
          values,
        )
        found.push(...faultsOf(plan?.['QUERY PLAN'][0]?.Plan))
      }
      return database.query(statement, values, signal)
    },
  }
}

interface Node {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Actual Rows'?: number
  readonly 'Actual Loops'?: number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly Plans?: readonly Node[]
}

function faultsOf(node: Node | undefined): string[] {
  if (node === undefined) return []
  const { 'Node Type': type, 'Relation Name': table = '', Plans = [] } = node
  const below = Plans.flatMap(faultsOf)
  if (!big.has(table)) return below
  const read = [
    node['Actual Rows'],
    node['Rows Removed by Filter'],
    node['Rows Removed by Index Recheck'],
  ].reduce<number>((sum, each = 0) => sum + each, 0)
  const rows = read * (node['Actual Loops'] ?? 1)
  if (rows <= MAX_ROWS && type !== 'Seq Scan') return below
  const what = type === 'Seq Scan' ? 'all' : `${rows} rows`
  return [`${what} of ${table}`, ...below]
}
