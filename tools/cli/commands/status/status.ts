import type { HistoryEvent, HistoryPage } from '#shared/contracts/api/history.ts'
import type { JobRequest } from '#shared/contracts/api/job.ts'
import type { TrackDetail, TrackPage } from '#shared/contracts/api/track.ts'
import { ASSET_GUID_PATTERN } from '#shared/contracts/names.ts'
import { Refused } from '../../../client/client.ts'
import { type Api, apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable, printableJson } from '../../../terminal/text.ts'
import { count, parsed, UsageError } from '../../../terminal/usage.ts'
import { isRequestId } from '../watch/watch.ts'
import { historyTable, requestLines, trackShown } from './print.ts'

const HELP = `npx trackchain status REQUEST_ID | ASSET_GUID: the state of a request or a track.

  REQUEST_ID       its tracks, and each asset: made, pending, cancelled, or failed with the reason and what to
                   do
  ASSET_GUID       what exists for the track, and what failed; before its master was read, the
                   latest job
  --history N      of a track: also its latest N events (steps, attempts, verdicts), up to 1000

${TARGET_HELP}
                   (scope: read)
  --json           one JSON document: as GET /v1/jobs/{request_id} or GET /v1/tracks/{asset_guid} has it;
                   with --history it also has "events"
  --help           show this help

  npx trackchain status 3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11
  npx trackchain status my-track --history 20

Exit codes: 0 nothing has failed; 1 something has failed, it is unknown, or the API does not answer; 2 usage;
130 interrupted.
`

const OPTIONS = {
  ...TARGET_FLAGS,
  history: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function status(
  args: readonly string[],
  { say, note }: Pick<Output, 'say' | 'note'> = TERMINAL,
): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    say(HELP)
    return 0
  }
  const [id, ...others] = positionals
  if (id === undefined || others.length > 0) {
    throw new UsageError('status takes one request id or asset_guid.')
  }
  if (!isRequestId(id)) {
    throw new UsageError(`${JSON.stringify(id)} is neither a request id nor an asset_guid.`)
  }
  const limit = count('history', values.history, 1000)
  const api = apiAt(targetOf(values))
  try {
    // An id may name both a request and a track: the request is preferred.
    const request = await known<JobRequest>(api, `/v1/jobs/${encodeURIComponent(id)}`)
    if (request !== undefined) return showRequest(request, values.json, say)
    if (!new RegExp(ASSET_GUID_PATTERN).test(id)) throw unknown(id)
    const track = await known<TrackDetail>(api, `/v1/tracks/${id}`)
    if (track === undefined) return showRequest(await latestJob(api, id), values.json, say)
    const events = limit === undefined ? undefined : await latest(api, id, limit)
    if (values.json) say(printableJson(events === undefined ? track : { ...track, events }))
    else {
      say(trackShown(track))
      if (events !== undefined) say(`\n${historyTable(events)}`)
    }
    const hasFailed = track.assets.some(({ state }) => isBad(state))
    return hasFailed || isBad(track.state) ? 1 : 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
}

type Say = Output['say']

/** @returns the exit code. */
function showRequest(request: JobRequest, asJson: boolean, say: Say): number {
  say(asJson ? printableJson(request) : requestLines(request))
  return request.jobs.some(({ state }) => isBad(state)) ? 1 : 0
}

/** The latest job of a track whose master has not been read. @throws Refused. */
async function latestJob(api: Api, guid: string): Promise<JobRequest> {
  let next: string | null = `/v1/tracks?limit=1000&q=${guid}`
  while (next !== null) {
    const page: TrackPage = await api(next)
    const found = page.tracks.find(({ asset_guid }) => asset_guid === guid)
    if (found !== undefined) {
      const request = await api<JobRequest>(`/v1/jobs/${encodeURIComponent(found.request_id)}`)
      return { ...request, jobs: request.jobs.filter(({ asset_guid }) => asset_guid === guid) }
    }
    next = page.next
  }
  throw unknown(guid)
}

function unknown(id: string): Refused {
  return new Refused(404, `NOT_FOUND: no job and no track is called ${id}.`)
}

async function latest(api: Api, guid: string, limit: number): Promise<readonly HistoryEvent[]> {
  const path = `/v1/tracks/${guid}/history?limit=${limit}`
  return (await known<HistoryPage>(api, path))?.events ?? []
}

async function known<T>(api: Api, path: string): Promise<T | undefined> {
  try {
    return await api<T>(path)
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined
    throw error
  }
}

function isBad(state: string | undefined): boolean {
  return state === 'failed' || state === 'partial'
}
