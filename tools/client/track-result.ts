import { setTimeout as sleep } from 'node:timers/promises'
import type { KeyEstimate, TempoEstimate } from '#shared/assets/definition.ts'
import type { HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
import type { AssetStatus, JobRequest, JobStatus } from '#shared/contracts/api/job.ts'
import type { TrackDetail } from '#shared/contracts/api/track.ts'
import { hasEnded } from '#shared/contracts/has-ended.ts'
import { assetName, type Revision } from '#shared/contracts/names.ts'
import { CHAIN } from '#shared/contracts/stages.ts'
import { type Client, Refused } from './client.ts'
import type { MasterFile } from './masters.ts'

/** The result of one track. */
export interface TrackResult {
  readonly guid: string
  /** The master that was submitted. */
  readonly master: string
  readonly request_id: string
  readonly state: string
  /** Null when the master could not be read. */
  readonly seconds: number | null
  /** The format of the master, e.g. `FLAC 24-bit 48000 Hz 2 channels`. */
  readonly layout: string | null
  readonly tempo: TempoEstimate | null
  readonly key: KeyEstimate | null
  readonly expected: MasterFile['expected'] | null
  readonly files: readonly ResultFile[]
  /** Sentences on what failed, with the code of the error. */
  readonly faults: readonly string[]
  /** Wall-clock time of each kind of step, summed over its steps, ms. */
  readonly ms: Readonly<Record<string, number>>
}

interface ResultFile {
  readonly asset: string
  /** The name in the assets store. */
  readonly name: string
  readonly bytes: number
}

const EVERY_MS = 300
/** A job without a new event for this long is given up, ms. */
const SILENCE_MS = 600_000
/** Events are recorded in batches, a moment after the job's end, ms. */
const EVENTS_MS = 3_000
/** The step that follows a step that was done. */
const NEXT: Readonly<Record<string, string>> = Object.fromEntries(
  CHAIN.map((step, index) => [step, CHAIN[index + 1] ?? step]),
)

/**
 * Waits for the end of a job, calls `onState` with the step it is at, and collects its result.
 * @throws when the job has no new event for ten minutes.
 */
export async function followTrack(
  client: Client,
  master: MasterFile,
  requestId: string,
  onState: (state: string) => void,
): Promise<TrackResult> {
  const { guid } = master
  let heard = { at: performance.now(), of: 0 }
  for (;;) {
    const [job, events] = await Promise.all([
      known<JobRequest>(client, `/v1/jobs/${requestId}`),
      history(client, guid),
    ])
    const found = job?.jobs[0]
    if (found && hasEnded(found)) {
      onState(found.state)
      return await resultOf(client, master, requestId, found)
    }
    if (events.length > heard.of) heard = { at: performance.now(), of: events.length }
    const latest = events[0]
    onState(latest ? (NEXT[latest.step] ?? latest.step) : 'accepted')
    if (performance.now() - heard.at > SILENCE_MS) {
      const last = latest ? `; the last: ${latest.step} ${latest.verdict}` : ''
      throw new Error(`nothing was heard of ${guid} for ${SILENCE_MS / 60_000} minutes${last}`)
    }
    await sleep(EVERY_MS, undefined, { signal: client.signal })
  }
}

async function resultOf(
  client: Client,
  { guid, path, expected }: MasterFile,
  requestId: string,
  job: JobStatus,
): Promise<TrackResult> {
  const track = await known<TrackDetail>(client, `/v1/tracks/${guid}`)
  const events = await allEvents(client, guid)
  const made = job.assets.filter((asset) => asset.state === 'made')
  const failed = job.assets.filter((asset) => asset.state === 'failed')
  const resultNamed = <T>(id: string): T | null =>
    (made.find(({ asset }) => asset === id)?.result as T | undefined) ?? null
  return {
    guid,
    master: path,
    request_id: requestId,
    state: job.state,
    seconds: track?.master.seconds ?? null,
    layout: track?.master.layout ?? null,
    tempo: resultNamed<TempoEstimate>('bpm'),
    key: resultNamed<KeyEstimate>('key'),
    expected: expected ?? null,
    files: made.flatMap((asset) => filesOf(guid, asset)),
    faults: failed.map(({ asset, code, sentence }) => `${asset}: ${code}: ${sentence}`),
    ms: timesOf(events),
  }
}

type MadeAsset = Extract<AssetStatus, { state: 'made' }>

function filesOf(guid: string, asset: MadeAsset): ResultFile[] {
  const { version, files } = asset
  const revision = asset.revision as Revision | null
  if (revision === null) return []
  return Object.entries(files).map(([extension, bytes]) => ({
    asset: asset.asset,
    name: assetName(guid, revision, { id: asset.asset, version }, extension),
    bytes,
  }))
}

function timesOf(events: readonly HistoryEvent[]): Record<string, number> {
  const ms: Record<string, number> = {}
  for (const event of events) ms[event.step] = (ms[event.step] ?? 0) + event.ms
  return ms
}

/** The events of a track, once the event of its publishing is among them. */
async function allEvents(client: Client, guid: string): Promise<readonly HistoryEvent[]> {
  const deadline = performance.now() + EVENTS_MS
  for (;;) {
    const events = await history(client, guid)
    if (events.some(({ step }) => step === 'publish') || performance.now() > deadline)
      return events
    await sleep(100, undefined, { signal: client.signal })
  }
}

/** The events of a track, the latest first. */
async function history(client: Client, guid: string): Promise<readonly HistoryEvent[]> {
  return (
    (await known<HistoryPage>(client, `/v1/tracks/${guid}/history?limit=1000`))?.events ?? []
  )
}

/** The JSON at `path`; undefined while the API does not know it. */
async function known<T>(client: Client, path: string): Promise<T | undefined> {
  try {
    return await client.get<T>(path)
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined
    throw error
  }
}
