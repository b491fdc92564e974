import type { ReleasePage } from '#shared/contracts/api/release.ts'
import { MAX_LISTED, showList } from '../../../client/show-list.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../../client/target.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
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

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function releases(
  args: readonly string[],
  output: Pick<Output, 'say' | 'note' | 'gone'> = TERMINAL,
): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    output.say(HELP)
    return 0
  }
  const most = count('limit', values.limit, MAX_LISTED) as number
  const { state, json } = values
  const list = {
    ...{ path: '/v1/releases', query: new URLSearchParams(state && { state }), most, json },
    itemsOf: ({ releases }: ReleasePage) => releases,
    textOf: releasesText,
    none: 'No such releases.',
  }
  return await showList(apiAt(targetOf(values)), list, output)
}
