import type { ReleaseDetail } from '#shared/contracts/api/release.ts'
import { Refused } from '../../../client/client.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable, printableJson } from '../../../terminal/text.ts'
import { count, parsed, UsageError } from '../../../terminal/usage.ts'
import { releaseText } from './print.ts'
import { releaseIn } from './release-id.ts'

const HELP = `npx trackchain release RELEASE_ID: what has become of the tracks of a release.

  --limit N        maximum of tracks (1000)

A track is in a release when a job over it names the release; its state is that of the latest of these jobs.

${TARGET_HELP}
                   (scope: read)
  --json           one JSON document, as GET /v1/releases/{release_id} has it
  --help           show this help

  npx trackchain release 4711001
  npx trackchain cancel --release 4711001

Exit codes: 0 nothing has failed; 1 something has failed, it is unknown, or the API does not answer; 2 usage;
130 interrupted.
`

const OPTIONS = {
  ...TARGET_FLAGS,
  limit: { type: 'string', default: '1000' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Tracks in one response. */
const PAGE = 1000
const MOST = 10_000

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function release(
  args: readonly string[],
  { say, note, gone }: Pick<Output, 'say' | 'note' | 'gone'> = TERMINAL,
): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    say(HELP)
    return 0
  }
  const [id, ...others] = positionals
  if (id === undefined || others.length > 0)
    throw new UsageError('release takes the number of one release.')
  const most = count('limit', values.limit, MOST) as number
  const api = apiAt(targetOf(values))
  try {
    const path = `/v1/releases/${releaseIn(id)}?limit=${Math.min(most, PAGE)}`
    let shown = await api<ReleaseDetail>(path)
    while (shown.next !== null && shown.tracks.length < most && !gone.aborted) {
      const { tracks, next }: ReleaseDetail = await api(shown.next)
      shown = { ...shown, tracks: [...shown.tracks, ...tracks].slice(0, most), next }
    }
    say(values.json ? printableJson(shown) : releaseText(shown))
    if (shown.next !== null && !values.json)
      note(`There are more tracks: --limit shows more than ${most}.`)
    return shown.counts.failed + shown.counts.partial > 0 ? 1 : 0
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
}
