import { randomUUID } from 'node:crypto'
import type { Database } from '#shared/catalogue/database.ts'
import { type JobStatus, jobsOfRequest } from '#shared/catalogue/jobs/read-jobs.ts'
import { type Announcement, recordRuns } from '#shared/catalogue/jobs/record-runs.ts'
import { migrate } from '#shared/catalogue/schema/migrate.ts'
import type { StepEvent } from '#shared/contracts/messages/event.ts'
import type { RunAccepted, RunEnded, Verdict } from '#shared/contracts/messages/run.ts'
import { jobId } from '#shared/contracts/names.ts'
import { testPostgres } from '../../../tools/local/postgres/temporary.ts'

interface Fixture {
  readonly database: Database
  readonly dsn: string
}

/** A server for a test file, and a fresh, migrated catalogue for each test. */
export async function catalogues(t: {
  teardown(end: () => unknown): void
}): Promise<() => Promise<Fixture>> {
  const postgres = await testPostgres()
  t.teardown(() => postgres.stop())
  return async () => {
    const dsn = await postgres.database()
    const database = postgres.open(dsn)
    await migrate(database)
    return { database, dsn }
  }
}

/** The announcements that are due once these runs are recorded. */
export async function recordDue(
  database: Database,
  runs: readonly RunEnded[],
  signal?: AbortSignal,
): Promise<readonly Announcement[]> {
  return (await recordRuns(database, runs, signal)).due
}

/** A job by its id, as its request shows it. */
export async function jobOf(database: Database, job: string): Promise<JobStatus | undefined> {
  const text = 'select request_id as request from job where id = $1'
  const [found] = await database.query<{ request: string }>({ text }, [job])
  const jobs = await jobsOfRequest(database, found?.request ?? '')
  return jobs.find((each) => each.job === job)
}

/** A database that calls `before` with the name of each statement that is to be run by itself. */
export function interrupted(database: Database, before: (name: string) => void): Database {
  return {
    ...database,
    async query(statement, values, signal) {
      before(statement.name ?? '')
      return database.query(statement, values, signal)
    },
  }
}

/** A job for these assets; `over` replaces what a test is about. */
export function accepted(
  assets: readonly string[],
  over: Partial<RunAccepted & { track: string; requestId: string }> = {},
): RunAccepted {
  const { track = `track-${randomUUID()}`, requestId = randomUUID(), ...rest } = over
  return {
    request: { request_id: requestId, asset_guid: track, derivative_assets: [...assets] },
    job: jobId(requestId, track),
    run: 1,
    route: 'cloud',
    accepted: '2026-03-01T10:00:00.000Z',
    restarts: 0,
    masters: [`file:///masters/${track}.wav`],
    ...rest,
  }
}

/** The same job, asked for again. */
export function again(
  run: RunAccepted,
  over: Partial<RunAccepted>,
  assets?: readonly string[],
) {
  const request = assets ? { ...run.request, derivative_assets: [...assets] } : run.request
  return { ...run, request, ...over }
}

/** The end of a run with these verdicts; by default all that was asked for has been made. */
export function ended(
  { masters, ...envelope }: RunAccepted,
  verdicts: Readonly<Record<string, Verdict>> = {},
  revision: string | null = 'f01',
): RunEnded {
  const layout = 'WAV 16-bit 44100 Hz 2 channels'
  const all = Object.fromEntries(
    envelope.request.derivative_assets.map((asset) => [
      asset,
      Object.hasOwn(verdicts, asset) ? verdicts[asset] : made(asset),
    ]),
  )
  return {
    ...envelope,
    master: revision && { uri: masters[0] ?? '', revision, samples: 441_000, layout },
    verdicts: all,
  } as RunEnded
}

export function made(of: unknown, version = 1): Verdict {
  return { state: 'made', version, files: { json: 120 }, result: { of } }
}

export function failed(sentence = 'the encoder said no', version = 1): Verdict {
  return {
    state: 'failed',
    version,
    code: 'RENDER_FAILED',
    sentence,
    step: 'encode',
    attempt: 1,
  }
}

export function event(of: RunAccepted, over: Partial<StepEvent> = {}): StepEvent {
  const { job, run, route, request } = of
  return {
    ...{ id: randomUUID(), at: '2026-03-01T10:00:01.000Z', step: 'stage', verdict: 'done' },
    ...{ job, run, route, track: request.asset_guid, attempt: 1, units: ['bpm@1'] },
    ...{ worker: 'test/1', ms: 1.5 },
    ...over,
  }
}
