import { REQUEST_ID_PATTERN } from '#shared/contracts/names.ts'
import { type Client, connect, Refused } from '../../../client/client.ts'
import { follow } from '../../../client/follow.ts'
import {
  apiAt,
  explained,
  TARGET_FLAGS,
  TARGET_HELP,
  targetOf,
} from '../../../client/target.ts'
import { drawBars } from '../../../terminal/bars.ts'
import { interruptible } from '../../../terminal/interrupt.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable } from '../../../terminal/text.ts'
import { parsed, UsageError } from '../../../terminal/usage.ts'
import { watchLive } from './live.ts'
import { barsOf, changeText } from './print.ts'

const HELP = `npx trackchain watch REQUEST_ID… | --all: follows jobs until they have ended.

  REQUEST_ID…      as submit prints it, or a POST returns it. Ends when all their tracks have ended
  --all            every track of the chain, as it changes, until you interrupt it (Ctrl-C)

On a terminal it draws a bar for each track under way and prints a line for each that has ended.
Elsewhere (| less, > file) it prints a line for each change.

${TARGET_HELP}
                   (scope: read)
  --json           a line of JSON for each change: {"event":"state"|"ended", "request_id", "asset_guid",
                   "state", "percent", "assets"}; with --all {"event":"track"|"board", …} as GET /v1/live
  --help           show this help

  npx trackchain watch 3f2c8c1e-5d0b-4b8a-9a53-0d9a8c0c7f11
  npx trackchain watch --all
  npx trackchain watch --json $ID | jq -r 'select(.event == "ended") | [.asset_guid, .state] | @tsv'

Exit codes: 0 every track is done; 1 a track is not, or the API does not answer; 2 usage; 130 interrupted.
`

const OPTIONS = {
  ...TARGET_FLAGS,
  all: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** How long an accepted job may be unknown to the API, ms. */
const PATIENCE_MS = 10_000

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function watch(
  args: readonly string[],
  output: Output = TERMINAL,
  stop: AbortSignal = interruptible(() => {}),
): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    output.say(HELP)
    return 0
  }
  if (values.all === positionals.length > 0) {
    throw new UsageError('watch takes request ids, or --all.')
  }
  const odd = positionals.find((id) => !isRequestId(id))
  if (odd !== undefined) throw new UsageError(`${JSON.stringify(odd)} is no request id.`)
  const target = targetOf(values)
  // Fails at once when the API does not answer, instead of after the patience of `follow`.
  await apiAt(target)('/v1/derivatives')
  const signal = AbortSignal.any([stop, output.gone])
  const client = connect(target.url, signal, target.token)
  try {
    const { json: asJson } = values
    if (values.all) return await watchLive(target, output, { asJson, signal })
    return await watchRequests(new Set(positionals), output, { client, asJson })
  } catch (error) {
    if (output.gone.aborted) return 0
    if (stop.aborted) throw stop.reason
    if (!(error instanceof Refused)) throw explained(error, target)
    output.note(printable(error.message))
    return 1
  }
}

export function isRequestId(text: string): boolean {
  return new RegExp(REQUEST_ID_PATTERN, 'u').test(text) && text !== ''
}

async function watchRequests(
  ids: ReadonlySet<string>,
  output: Output,
  { client, asJson }: { client: Client; asJson: boolean },
): Promise<number> {
  const began = performance.now()
  const isDrawn = output.screen !== undefined
  const followed = follow(client, {
    patienceMs: PATIENCE_MS,
    onChange(now, before) {
      const text = changeText(now, before, { asJson, isDrawn })
      if (text !== undefined) bars.say(text)
    },
  })
  const bars = drawBars(output, () => barsOf(followed.seen.values(), followed.seen.size, began))
  for (const id of ids) followed.expect(id)
  followed.close()
  try {
    await followed.ended
  } finally {
    bars.end()
  }
  return [...followed.seen.values()].every(({ job }) => job.state === 'done') ? 0 : 1
}
