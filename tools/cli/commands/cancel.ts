import type { Cancelled } from '#shared/contracts/api/cancellation.ts'
import type { ReleaseCancelled } from '#shared/contracts/api/release.ts'
import { GIVEN_GUID_PATTERN } from '#shared/contracts/names.ts'
import { Refused } from '../../client/client.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../client/target.ts'
import { type Output, TERMINAL } from '../../terminal/output.ts'
import { printable, printableJson } from '../../terminal/text.ts'
import { parsed, UsageError } from '../../terminal/usage.ts'
import { releaseIn } from './releases/release-id.ts'
import { isRequestId } from './watch/watch.ts'

const HELP = `npx trackchain cancel REQUEST_ID | --release RELEASE_ID: cancels the jobs of a request, or those that name a
release, as far as they have not ended.

  --track GUID     of a request only the job of this track
  --release ID     all jobs that name this release, of whatever request
  --reason TEXT    why; it goes into the history of the tracks

What waits is not begun, what runs is stopped within seconds; there are no dead letters. What was made
stays made. Posted again under the same REQUEST_ID, a cancelled job goes on with what is left.

${TARGET_HELP}
                   (scope: operate)
  --json           one JSON document, as POST /v1/jobs/{request_id}/cancel or
                   POST /v1/releases/{release_id}/cancel answers it
  --help           show this help

  npx trackchain cancel 3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11 --reason 'the wrong masters'
  npx trackchain cancel 3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11 --track my-track
  npx trackchain cancel --release 4711001

Exit codes: 0 cancelled, also if it was before; 1 it is unknown, has ended, or the API does not answer;
2 usage; 130 interrupted.
`

const OPTIONS = {
  ...TARGET_FLAGS,
  track: { type: 'string' },
  release: { type: 'string' },
  reason: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function cancel(
  args: readonly string[],
  { say, note }: Pick<Output, 'say' | 'note'> = TERMINAL,
): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    say(HELP)
    return 0
  }
  const { track, reason, release } = values
  const [id, ...others] = positionals
  const isOne = (id === undefined) !== (release === undefined) && others.length === 0
  if (!isOne || (release !== undefined && track !== undefined)) {
    const words =
      'cancel takes one request id, of which --track GUID cancels one job; or --release RELEASE_ID.'
    throw new UsageError(words)
  }
  if (id !== undefined && !isRequestId(id))
    throw new UsageError(`${JSON.stringify(id)} is no request id.`)
  if (track !== undefined && !new RegExp(GIVEN_GUID_PATTERN).test(track))
    throw new UsageError(`--track must be an asset_guid, got ${JSON.stringify(track)}.`)
  const wish = {
    ...(track === undefined ? {} : { asset_guid: track }),
    ...(reason === undefined ? {} : { reason }),
  }
  const path =
    release === undefined
      ? `/v1/jobs/${encodeURIComponent(id ?? '')}/cancel`
      : `/v1/releases/${releaseIn(release)}/cancel`
  try {
    const cancelled = await apiAt(targetOf(values))<Cancelled | ReleaseCancelled>(path, wish)
    say(values.json ? printableJson(cancelled) : lineOf(cancelled))
    return 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
}

function lineOf(cancelled: Cancelled | ReleaseCancelled): string {
  const { ended, left, by, at } = cancelled
  const jobs = `${ended} ${ended === 1 ? 'job' : 'jobs'}`
  const words =
    ended === 0 && !left ? `by ${by} at ${at}` : left ? `${jobs}, more are being ended` : jobs
  return printable(`cancelled  ${subjectOf(cancelled)}  ${words}`)
}

function subjectOf(cancelled: Cancelled | ReleaseCancelled): string {
  if ('release_id' in cancelled) return `release ${cancelled.release_id}`
  const { request_id, asset_guid } = cancelled
  return asset_guid === null ? request_id : `${asset_guid} of ${request_id}`
}
