/**
 * Measures how many jobs and events a second the catalogue accepts, and how fast it lists 100,000 tracks:
 * `node tools/bench/catalogue.bench.ts [jobs]`.
 */

import { randomUUID } from 'node:crypto'
import { openDatabase } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { readBoard } from '#shared/catalogue/figures/board.ts'
import { readKpis } from '#shared/catalogue/figures/kpis.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import {
  listTracks,
  type TrackCursor,
  type TrackFilter,
} from '#shared/catalogue/tracks/list-tracks.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { STAGES } from '#shared/contracts/stages.ts'
import { ownPostgres } from '../local/postgres/temporary.ts'

const JOBS = Number(process.argv[2] ?? 20_000)

const MANY_TRACKS = `
  insert into track_listing (asset_guid, job, request_id, asked_at, state, updated_at, made,
    failed, pending, samples, bpm, bpm_confidence, key, key_confidence, camelot, loudness)
  select 'many-' || i, 'job' || i, gen_random_uuid(), now(),
    case when i % 200 = 0 then 'failed' else 'done' end, now() - i * interval '1 second',
    case when i % 500 = 0 then '{bpm,flac,key}' else '{aac-128,bpm,key,waveform}' end::text[],
    '{}', '{}', 19000000, 80 + (i * 7919 % 10000) / 100.0, 0.9, 'A minor', 0.8,
    1 + i % 12 || (array['A', 'B'])[1 + i % 2], -9
  from generate_series(1, 100000) i`

const MANY_NAMES = `
  insert into track_name (asset_guid, field, name, given_at)
  select 'many-' || i, field, case field
    when 'title' then (array['Night', 'Day', 'Ólafur'])[1 + i % 3] || ' Bus ' || i
    else 'The Artist ' || i % 1000 end, now()
  from generate_series(1, 100000) i, unnest(array['title', 'artist']) field`

// With the settings of a chain on one machine, fsync included.
const postgres = await ownPostgres({})
const dsn = await postgres.database()
const database = openDatabase({ dsn, poolSize: 4 })
try {
  await migrate(database)
  const accepted = Array.from({ length: JOBS }, (_, index) => acceptedRun(index))
  const ended = accepted.map(endedRun)
  const events = accepted.flatMap(eventsOf)

  await measured('acceptJobs, 100 a batch, 2 at once', accepted, 100, 2, (batch) =>
    acceptJobs(database, batch),
  )
  await measured('recordRuns + markAnnounced, 100 a batch, 2 at once', ended, 100, 2, announce)
  await measured('the same once more (redelivered)', ended, 100, 2, announce)
  await measured('recordEvents, 1,000 a batch, 2 at once', events, 1_000, 2, (batch) =>
    recordEvents(database, batch),
  )
  await measured('one job at a time: recordRuns', anew(2_000), 1, 1, announce)
  await lists()
} finally {
  await database.close()
  await postgres.stop()
}

async function announce(batch: readonly RunEnded[]): Promise<void> {
  const { due } = await recordRuns(database, batch)
  await markAnnounced(database, due)
}

/** Measures lists, with as many tracks as a large catalogue has. */
async function lists(): Promise<void> {
  await database.query({ text: MANY_TRACKS })
  await database.query({ text: MANY_NAMES })
  await database.query({ text: 'analyze' })
  const look = async (title: string, filter: TrackFilter, pages = 1) => {
    const times: number[] = []
    let after: TrackCursor | undefined
    let rows = 0
    for (let page = 0; page < pages; page++) {
      const began = performance.now()
      const { tracks, next } = await listTracks(database, filter, { limit: 100, after })
      times.push(performance.now() - began)
      rows += tracks.length
      after = next
      if (next === undefined) break
    }
    console.log(
      `${Math.max(...times)
        .toFixed(1)
        .padStart(8)} ms  the slowest of ${times.length} pages, ${rows} tracks: ${title}`,
    )
  }
  await look('the first', {})
  await look('all', {}, 2_000)
  await look('120 to 128 BPM', { bpmFrom: 120, bpmTo: 128 }, 20)
  await look('100.1 to 100.2 BPM', { bpmFrom: 100.1, bpmTo: 100.2 }, 20)
  await look('8A and its neighbours', { camelot: ['8A', '8B', '7A', '9A'] }, 20)
  await look('an asset that few have', { asset: 'flac' }, 20)
  await look('an asset that none has', { asset: 'none' })
  await look('failed', { state: 'failed' }, 20)
  await look('a word that many have', { q: 'night' }, 20)
  await look('two words', { q: 'night 4711' })
  await look('the beginning of a guid', { q: 'many-4711' })
  await look('nothing', { q: 'nowhere', bpmFrom: 100, camelot: ['8A'] })
  for (const [title, read] of [
    ['board', () => readBoard(database)],
    ['kpis', () => readKpis(database, new Date(Date.now() - 900_000), new Date())],
  ] as const) {
    const began = performance.now()
    await read()
    console.log(`${(performance.now() - began).toFixed(1).padStart(8)} ms  ${title}`)
  }
}

async function measured<T>(
  title: string,
  items: readonly T[],
  batchSize: number,
  atOnce: number,
  work: (batch: readonly T[]) => Promise<unknown>,
): Promise<void> {
  const batches = Array.from({ length: Math.ceil(items.length / batchSize) }, (_, index) =>
    items.slice(index * batchSize, (index + 1) * batchSize),
  ).values()
  const before = { at: performance.now(), cpu: process.cpuUsage() }
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const batch of batches) await work(batch)
    }),
  )
  const seconds = (performance.now() - before.at) / 1_000
  const { user, system } = process.cpuUsage(before.cpu)
  const rate = Math.round(items.length / seconds).toLocaleString('en')
  const busy = Math.round((user + system) / 10_000 / seconds)
  console.log(`${rate.padStart(8)}/s  ${title}; Node busy ${busy} % of a core`)
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
    ...{
      id: randomUUID(),
      at: new Date().toISOString(),
      step,
      verdict: 'done',
      job,
      run,
      route,
    },
    ...{ track: request.asset_guid, attempt: 1, units: ['bpm@1', 'key@1'], worker: 'bench/1' },
    ...{
      ms: 12.5,
      cpu_ms: 11.25,
      bytes_read: 76_000_000,
      bytes_written: 300,
      store_operations: 4,
    },
    ...(step === 'accepted' ? { request } : {}),
  }))
}

function anew(count: number): RunEnded[] {
  return Array.from({ length: count }, (_, index) => endedRun(acceptedRun(index)))
}
