/**
 * Measures the catalogue: how fast every read of the API is on a filled one (p50 and p99 of 20 each), and how many jobs
 * and events a second are written to an empty one and to the filled one.
 * `node tools/bench/catalogue.bench.ts [--tracks 200000] [--jobs 20000] [--memory 1GB]`
 * `node tools/bench/catalogue.bench.ts --keep FOLDER [--tracks 8500000]` fills a catalogue, or finds it filled in that
 * folder, and only reads it; `--serve`: and leaves the server running.
 *
 * A million tracks take 3.7 GB of disk, in the folder for temporary files or the one that is named.
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { type Database, openDatabase } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { STAGES } from '#shared/contracts/stages.ts'
import { startPostgres } from '../local/postgres/postgres.ts'
import { ownPostgres } from '../local/postgres/temporary.ts'
import { readKnown, readsOf } from './catalogue-reads.ts'
import { fillCatalogue } from './fill-catalogue.ts'

const { values } = parseArgs({
  options: {
    tracks: { type: 'string', default: '200000' },
    jobs: { type: 'string', default: '20000' },
    memory: { type: 'string', default: '1GB' },
    keep: { type: 'string' },
    serve: { type: 'boolean', default: false },
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
  const before = await writes(empty)
  const after = await writes(filled)
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

/** What is written a second, by what it is. */
async function writes(database: Database): Promise<ReadonlyMap<string, number>> {
  const accepted = Array.from({ length: JOBS }, (_, index) => acceptedRun(index))
  const ended = accepted.map(endedRun)
  const events = accepted.flatMap(eventsOf)
  const rates = new Map<string, number>()
  const measured = async <T>(
    title: string,
    items: readonly T[],
    batchSize: number,
    work: (batch: readonly T[]) => Promise<unknown>,
  ) => {
    const batches = Array.from({ length: Math.ceil(items.length / batchSize) }, (_, index) =>
      items.slice(index * batchSize, (index + 1) * batchSize),
    ).values()
    const began = performance.now()
    const worker = async () => {
      for (const batch of batches) await work(batch)
    }
    await Promise.all([worker(), worker()])
    rates.set(title, items.length / ((performance.now() - began) / 1000))
  }
  const announce = async (batch: readonly RunEnded[]) => {
    const { due } = await recordRuns(database, batch)
    await markAnnounced(database, due)
  }
  await measured('acceptJobs, 100 a batch, 2 at once', accepted, 100, (batch) =>
    acceptJobs(database, batch),
  )
  await measured('recordEvents, 1,000 a batch, 2 at once', events, 1000, (batch) =>
    recordEvents(database, batch),
  )
  await measured('recordRuns + markAnnounced, 100 a batch, 2 at once', ended, 100, announce)
  await measured('the same once more (redelivered)', ended, 100, announce)
  await measured('one job at a time: recordRuns', anew(1_000), 1, announce)
  return rates
}

function acceptedRun(index: number): RunAccepted {
  const request_id = randomUUID()
  const asset_guid = `track-${index}-${request_id.slice(0, 8)}`
  return {
    request: {
      request_id,
      asset_guid,
      asset_id: index,
      derivative_assets: ['bpm', 'key', 'waveform', 'aac-128'],
    },
    job: jobId(request_id, asset_guid),
    run: 1,
    route: 'cloud',
    accepted: new Date().toISOString(),
    restarts: 0,
    masters: [`gs://masters/${asset_guid}.wav`],
  }
}

function endedRun({ masters, ...envelope }: RunAccepted): RunEnded {
  const window = { from: 0, to: 433 }
  const bpm = { bpm: 128.01, confidence: 0.93, windows: [window], firstBeat: 0.213 }
  const key = { key: 'A minor', camelot: '8A', openKey: '1m', confidence: 0.81 }
  const layout = 'WAV 16-bit 44100 Hz 2 channels'
  return {
    ...envelope,
    master: { uri: masters[0] ?? '', revision: 'g1700000000', samples: 19_095_300, layout },
    verdicts: {
      bpm: { state: 'made', version: 1, files: { json: 180 }, result: bpm },
      key: { state: 'made', version: 1, files: { json: 120 }, result: key },
      waveform: { state: 'made', version: 1, files: { json: 40_000, png: 22_000 } },
      'aac-128': { state: 'made', version: 1, files: { m4a: 6_900_000 } },
    },
  }
}

function eventsOf({ job, run, route, request }: RunAccepted): StepEvent[] {
  return ['accepted', ...STAGES, 'publish'].map((step) => ({
    id: randomUUID(),
    at: new Date().toISOString(),
    step,
    verdict: 'done',
    job,
    run,
    route,
    track: request.asset_guid,
    attempt: 1,
    units: ['bpm@1', 'key@1'],
    worker: 'bench/1',
    ms: 12.5,
    cpu_ms: 11.25,
    bytes_read: 76_000_000,
    bytes_written: 300,
    store_operations: 4,
    ...(step === 'accepted' ? { request } : {}),
  }))
}

function anew(count: number): RunEnded[] {
  return Array.from({ length: count }, (_, index) => endedRun(acceptedRun(index)))
}
