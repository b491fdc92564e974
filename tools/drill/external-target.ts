import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
import type { JobRequest, JobStatus } from '#shared/contracts/api/job.ts'
import type { TrackDetail } from '#shared/contracts/api/track.ts'
import { type Client, connect, Refused } from '../client/client.ts'
import { type Comparison, compare, type Entry, type Outcome, type Outcomes } from './compare.ts'
import type { Span } from './figures.ts'
import type { DrillTrack } from './make-tracks.ts'
import { retryDisturbed } from './retry-disturbed.ts'
import type { Heard } from './witness.ts'

interface TargetOptions {
  /** URL of the deployment's API, without a slash at its end. */
  readonly url: string
  /** Bearer token, if the API needs one. */
  readonly token: string | undefined
  readonly tracks: readonly DrillTrack[]
  readonly assets: readonly string[]
  readonly say: (sentence: string) => void
  readonly signal: AbortSignal
}

/** What the API of a deployment reported on the tracks. */
interface TargetPass {
  readonly outcomes: Outcomes
  readonly events: readonly Heard[]
  readonly span: Span
}

const EVERY_MS = 1_000
/** A track that has not ended after this time is lost, ms: after half an hour the watchdog would have acted. */
const PATIENCE_MS = 3_600_000
/** Tracks that are uploaded, polled and fetched concurrently. */
const CONCURRENCY = 8

/** Uploads and submits the tracks to a deployment, and waits for their outcomes. */
export async function throughTarget(options: TargetOptions): Promise<TargetPass> {
  const { url, token, tracks, say, signal } = options
  const client = connect(url, signal, token)
  const from = Date.now()
  await inTurn(tracks, async ({ guid, requestId, path }) => {
    await retryDisturbed(() => client.upload(guid, path), signal)
    const job = { request_id: requestId, asset_guid: guid, derivative_assets: options.assets }
    await retryDisturbed(() => client.submit(job), signal)
  })
  say(`${tracks.length} tracks submitted`)
  const ended = new Map<string, JobStatus>()
  let last = from
  await inTurn(tracks, async ({ guid, requestId }) => {
    const job = await endOf(client, requestId, from + PATIENCE_MS)
    if (job === undefined) return
    ended.set(guid, job)
    last = Date.now()
    if (ended.size % 10 === 0) say(`${ended.size} of ${tracks.length} tracks ended`)
  })
  const outcomes = new Map<string, Outcome>()
  const events: Heard[] = []
  await inTurn(tracks, async ({ guid }) => {
    events.push(...(await history(client, guid)))
    outcomes.set(guid, await outcomeOf(client, guid, ended.get(guid)))
  })
  return { outcomes, events, span: { from, to: last } }
}

/** The job, once it has ended and been announced; undefined when that does not happen in time. */
async function endOf(
  client: Client,
  requestId: string,
  deadline: number,
): Promise<JobStatus | undefined> {
  while (Date.now() < deadline) {
    const found = await known<JobRequest>(client, `/v1/jobs/${requestId}`)
    const job = found?.jobs[0]
    if (job && job.published !== null) return job
    await sleep(EVERY_MS, undefined, { signal: client.signal })
  }
  return undefined
}

/** What the API shows of a track, without its name: equal for equal masters. */
async function outcomeOf(
  client: Client,
  guid: string,
  job: JobStatus | undefined,
): Promise<Outcome> {
  const track = await known<TrackDetail>(client, `/v1/tracks/${guid}`)
  const rows: Entry[] = []
  const assets: Entry[] = []
  for (const asset of track?.assets ?? []) {
    const { state } = asset
    const key = `${asset.asset}@${asset.version}`
    if (asset.state === 'failed') {
      rows.push({ key, value: JSON.stringify({ state, code: asset.code }) })
      continue
    }
    rows.push({ key, value: JSON.stringify({ state, result: asset.result }) })
    for (const { extension, href } of asset.files) {
      const bytes = await retryDisturbed(() => client.bytes(href), client.signal)
      const value = createHash('sha256').update(bytes).digest('hex')
      assets.push({ key: `${key}.${extension}`, value })
    }
  }
  const states = job?.assets.map(({ asset, state }) => ({ asset, state }))
  const published = job?.published ? [{ key: 'job', value: JSON.stringify(states) }] : []
  return { state: job?.state ?? 'not ended', rows, assets, published, letters: [] }
}

async function history(client: Client, guid: string): Promise<readonly Heard[]> {
  const events: HistoryEvent[] = []
  let next: string | null = `/v1/tracks/${guid}/history?limit=1000`
  while (next !== null) {
    const page: HistoryPage | undefined = await known<HistoryPage>(client, next)
    events.push(...(page?.events ?? []))
    next = page?.next ?? null
  }
  // The time of arrival is unknown; an event is reported when its step has ended.
  return events.map((event) => ({ ...event, heardMs: Date.parse(event.at) + event.ms }))
}

/** The JSON at `path`; undefined while the API does not know it. */
async function known<T>(client: Client, path: string): Promise<T | undefined> {
  return await retryDisturbed(async () => {
    try {
      return await client.get<T>(path)
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return undefined
      throw error
    }
  }, client.signal)
}

/**
 * Compares the two tracks of each pair. Tracks that have not ended are lost. When the two differ, both count as wrong,
 * because it is unknown which of them is.
 */
export function comparePairs(
  pairs: readonly (readonly [DrillTrack, DrillTrack])[],
  outcomes: Outcomes,
): Omit<Comparison, 'duplicates'> {
  const expected = new Map<string, Outcome>()
  const expect = ({ guid }: DrillTrack, twin: DrillTrack) => {
    const other = outcomes.get(twin.guid)
    const should = other && other.published.length > 0 ? other : outcomes.get(guid)
    if (should !== undefined) expected.set(guid, should)
  }
  for (const [one, other] of pairs) {
    expect(one, other)
    expect(other, one)
  }
  const { duplicates: _, ...comparison } = compare(expected, outcomes)
  return comparison
}

async function inTurn<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        await act(next)
    }),
  )
}
