/**
 * Measures the catalogue: how fast every read of the API is on a filled one (p50 and p99 of 20 each), and how many jobs
 * and events a second are written to an empty one and to the filled one.
 * `node tools/bench/catalogue.bench.ts [--tracks 200000] [--jobs 20000] [--memory 1GB]`
 * `node tools/bench/catalogue.bench.ts --keep FOLDER [--tracks 8500000]` fills a catalogue, or finds it filled in that
 * folder, and only reads it; `--rate 35000 --minutes 10`: and then writes that number of jobs a minute, with five events each;
 * `--serve`: and leaves the server running.
 *
 * A million tracks take 3.5 GB of disk, in the folder for temporary files or the one that is named.
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import { startPostgres } from '../local/postgres/postgres.ts'
import { ownPostgres } from '../local/postgres/temporary.ts'
import { readKnown, readsOf } from './catalogue-reads.ts'
import { paced, writes } from './catalogue-writes.ts'
import { fillCatalogue } from './fill-catalogue.ts'

const { values } = parseArgs({
  options: {
    tracks: { type: 'string', default: '200000' },
    jobs: { type: 'string', default: '20000' },
    memory: { type: 'string', default: '1GB' },
    keep: { type: 'string' },
    serve: { type: 'boolean', default: false },
    rate: { type: 'string' },
    minutes: { type: 'string', default: '10' },
  },
})
const TRACKS = Number(values.tracks)
const JOBS = Number(values.jobs)
const READS = 20
/** Time limit of the statements that fill a catalogue, ms. */
const LONGEST_MS = 4 * 3600_000

// With the settings of a chain on one machine, fsync included.
const settings = { max_wal_size: '4GB', shared_buffers: values.memory }
if (values.keep !== undefined) {
  await kept(values.keep)
  process.exit()
}
const postgres = await ownPostgres(settings)
const opened: Database[] = []
try {
  const empty = await open()
  const filled = await open()
  const began = performance.now()
  await fillCatalogue(filled, TRACKS)
  const seconds = Math.round((performance.now() - began) / 1000)
  console.log(`${TRACKS.toLocaleString('en')} tracks, filled in ${seconds} s\n`)
  await sizes(filled)
  await reads(filled)
  const before = await writes(empty, JOBS)
  const after = await writes(filled, JOBS)
  console.log('\nwritten per second: to an empty catalogue, to the filled one, ratio')
  for (const [title, rate] of before) {
    const full = after.get(title) ?? 0
    const rates = [rate, full].map((each) => Math.round(each).toLocaleString('en').padStart(8))
    console.log(`${rates.join(' ')}  ${(full / rate).toFixed(2)}  ${title}`)
  }
} finally {
  await Promise.all(opened.map((database) => database.close()))
  await postgres.stop()
}

/** Fills the catalogue of a folder, if it is empty, and reads it. */
async function kept(dataDir: string): Promise<void> {
  const server = await startPostgres({ dataDir, settings })
  const database = openDatabase({ dsn: server.dsn, statementMs: LONGEST_MS })
  try {
    await migrate(database)
    const found = await database.query({ text: 'select from track_listing limit 1' })
    if (found.length === 0) await fillCatalogue(database, TRACKS)
    await sizes(database)
    await reads(database)
    if (values.rate !== undefined)
      await paced(database, Number(values.rate), Number(values.minutes))
    if (values.serve) {
      console.log(`\nTRACKCHAIN_DATABASE='${server.dsn}'; ends with Ctrl-C`)
      await once(process, 'SIGINT')
    }
  } finally {
    await database.close()
    await server.stop()
  }
}

async function open(): Promise<Database> {
  const dsn = await postgres.database()
  const database = openDatabase({ dsn, statementMs: LONGEST_MS })
  opened.push(database)
  await migrate(database)
  return database
}

async function sizes(database: Database): Promise<void> {
  const found = await database.query<{ name: string; rows: number; heap: number; all: number }>(
    {
      text: `
      select relname as name, greatest(reltuples, 1)::bigint as rows, pg_table_size(oid) as heap,
        pg_total_relation_size(oid) as all
      from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace
        and reltuples > 1000
      order by 4 desc`,
    },
  )
  const total = found.reduce((sum, { all }) => sum + all, 0)
  console.log(
    `bytes on disk: ${(total / 1e9).toFixed(2)} GB; a row of the table, with its indexes`,
  )
  for (const { name, rows, heap, all } of found)
    console.log(
      `${`${Math.round(heap / rows)}`.padStart(8)} ${`${Math.round(all / rows)}`.padStart(8)}  ${name} (${rows.toLocaleString('en')} rows)`,
    )
}

async function reads(database: Database): Promise<void> {
  const known = await readKnown(database)
  console.log('\nms: p50, p99')
  for (const { name, of } of readsOf(known)) {
    const times: number[] = []
    for (let read = 0; read < READS; read++) {
      const began = performance.now()
      await of(database)
      times.push(performance.now() - began)
    }
    times.sort((a, b) => a - b)
    const [p50 = 0, p99 = 0] = [times[READS >> 1], times[READS - 1]]
    console.log(`${p50.toFixed(1).padStart(8)} ${p99.toFixed(1).padStart(8)}  ${name}`)
  }
}
