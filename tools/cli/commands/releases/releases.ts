import type { ReleasePage } from '#shared/contracts/api/release.ts'
import { Refused } from '../../../client/client.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { jsonLine, type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable } from '../../../terminal/text.ts'
import { count, parsed } from '../../../terminal/usage.ts'
import { releasesText } from './print.ts'

const HELP = `npx trackchain releases: the releases that jobs have named, those that changed last first.

  --state STATE    running, done, partial, failed or cancelled
  --limit N        maximum of releases (50)

${TARGET_HELP}
                   (scope: read)
  --json           a line of JSON for each release, as GET /v1/releases has it
  --help           show this help

  npx trackchain releases --state failed
  npx trackchain release 4711001

Exit codes: 0 success, also without any; 1 the API refuses or does not answer; 2 usage; 130 interrupted.
`

const OPTIONS = {
  ...TARGET_FLAGS,
  state: { type: 'string' },
  limit: { type: 'string', default: '50' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Releases in one response. */
const PAGE = 1000
const MOST = 100_000_000

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function releases(
  args: readonly string[],
  { say, note, gone }: Pick<Output, 'say' | 'note' | 'gone'> = TERMINAL,
): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    say(HELP)
    return 0
  }
  const most = count('limit', values.limit, MOST) as number
  const { state } = values
  const query = new URLSearchParams({
    limit: `${Math.min(most, PAGE)}`,
    ...(state === undefined ? {} : { state }),
  })
  const api = apiAt(targetOf(values))
  const found: ReleasePage['releases'][number][] = []
  let shown = 0
  let next: string | null = `/v1/releases?${query}`
  try {
    while (next !== null && shown < most && !gone.aborted) {
      const page: ReleasePage = await api(next)
      const wanted = page.releases.slice(0, most - shown)
      shown += wanted.length
      next = page.next
      if (!values.json) found.push(...wanted)
      else if (wanted.length > 0) say(wanted.map(jsonLine).join('\n'))
    }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    note(printable(error.message))
    return 1
  }
  if (values.json) return 0
  say(shown === 0 ? 'No such releases.' : releasesText(found))
  if (next !== null) note(`There are more: --limit shows more than ${most}.`)
  return 0
}
