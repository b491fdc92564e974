import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from '#shared/catalogue/database.ts'
import { recordEvents } from '#shared/catalogue/events/record-events.ts'
import { acceptJobs } from '#shared/catalogue/jobs/accept-jobs.ts'
import { markAnnounced, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunAccepted, RunEnded } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { STAGES } from '#shared/contracts/stages.ts'

/** What is written a second, by what it is. */
export async function writes(
  database: Database,
  jobs: number,
): Promise<ReadonlyMap<string, number>> {
  const accepted = Array.from({ length: jobs }, (_, index) => acceptedRun(index))
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
  const announced = (batch: readonly RunEnded[]) => announce(database, batch)
  await measured('acceptJobs, 100 a batch, 2 at once', accepted, 100, (batch) =>
    acceptJobs(database, batch),
  )
  await measured('recordEvents, 1,000 a batch, 2 at once', events, 1000, (batch) =>
    recordEvents(database, batch),
  )
  await measured('recordRuns + markAnnounced, 100 a batch, 2 at once', ended, 100, announced)
  await measured('the same once more (redelivered)', ended, 100, announced)
  await measured('one job at a time: recordRuns', anew(1_000), 1, announced)
  return rates
}

/**
 * Accepts `perMinute` jobs a minute, and records their events and their ends, in batches of the sizes that ingest and
 * publish make. Says what came of it each minute, and how many bytes a job has taken.
 */
export async function paced(
  database: Database,
  perMinute: number,
  minutes: number,
): Promise<void> {
  const total = Math.round(perMinute * minutes)
  const began = performance.now()
  const before = await sizeOf(database)
  const counts = { accepted: 0, events: 0, ended: 0 }
  const toReport: RunAccepted[] = []
  const toEnd: RunAccepted[] = []
  const accepting = async () => {
    while (counts.accepted < total) {
      const due = Math.min(total, ((performance.now() - began) / 60_000) * perMinute)
      const count = Math.min(500, Math.floor(due - counts.accepted), 20_000 - toEnd.length)
      if (count < 20 && due < total) {
        await sleep(20)
        continue
      }
      const batch = Array.from({ length: count }, (_, index) =>
        acceptedRun(counts.accepted + index),
      )
      await acceptJobs(database, batch)
      counts.accepted += count
      toReport.push(...batch)
      toEnd.push(...batch)
    }
  }
  const taking = async (
    from: RunAccepted[],
    of: 'events' | 'ended',
    work: (batch: readonly RunAccepted[]) => Promise<unknown>,
  ) => {
    while (counts[of] < total) {
      const batch = from.splice(0, 200)
      if (batch.length === 0) await sleep(20)
      else await work(batch)
      counts[of] += batch.length
    }
  }
  const said = setInterval(() => {
    const seconds = Math.round((performance.now() - began) / 1000)
    console.log(`${seconds} s: ${JSON.stringify(counts)}`)
  }, 60_000)
  const end = (batch: readonly RunAccepted[]) => announce(database, batch.map(endedRun))
  await Promise.all([
    accepting(),
    taking(toReport, 'events', (batch) => recordEvents(database, batch.flatMap(eventsOf))),
    taking(toEnd, 'ended', end),
    taking(toEnd, 'ended', end),
  ])
  clearInterval(said)
  const took = (performance.now() - began) / 60_000
  const after = await sizeOf(database)
  console.log(
    `\n${total.toLocaleString('en')} jobs in ${took.toFixed(2)} minutes: ${Math.round(total / took).toLocaleString('en')} a minute; bytes a job on disk, by table:`,
  )
  for (const [table, bytes] of after)
    if (bytes - (before.get(table) ?? 0) > total)
      console.log(`${Math.round((bytes - (before.get(table) ?? 0)) / total)}  ${table}`)
}

async function sizeOf(database: Database): Promise<ReadonlyMap<string, number>> {
  const found = await database.query<{ name: string; bytes: number }>({
    text: `select relname as name, pg_total_relation_size(oid) as bytes from pg_class
      where relkind = 'r' and relnamespace = current_schema()::regnamespace order by 2 desc`,
  })
  return new Map(found.map(({ name, bytes }) => [name, bytes]))
}

async function announce(database: Database, batch: readonly RunEnded[]): Promise<void> {
  const { due } = await recordRuns(database, batch)
  await markAnnounced(database, due)
}

function acceptedRun(index: number): RunAccepted {
  const request_id = randomUUID()
  const asset_guid = `track-${index}-${request_id.slice(0, 8)}`
  return {
    request: {
      request_id,
      asset_guid,
      asset_id: index,
      derivative_assets: ['bpm', 'key', 'waveform', 'loudness', 'aac-128'],
      title: `Night Bus ${index % 5000}`,
      artist: `Driver ${index % 700}`,
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
      loudness: {
        state: 'made',
        version: 1,
        files: { json: 120 },
        result: { integrated: -9.1, truePeak: -0.4 },
      },
      'aac-128': { state: 'made', version: 1, files: { m4a: 6_900_000 } },
    },
  }
}

/** Of a track of three and a half minutes, whose assets are each made in one part. */
const UNITS = ['bpm', 'key', 'waveform', 'loudness', 'aac-128'].map(
  (asset) => `${asset}@1 0-9260696`,
)

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
    units: step === 'accepted' ? [] : UNITS,
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
