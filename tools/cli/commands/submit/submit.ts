import { LANES, type Lane } from '#shared/contracts/lanes.ts'
import { Refused } from '../../../client/client.ts'
import {
  apiAt,
  explained,
  TARGET_FLAGS,
  TARGET_HELP,
  type Target,
  targetOf,
} from '../../../client/target.ts'
import { interruptible } from '../../../terminal/interrupt.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable } from '../../../terminal/text.ts'
import { parsed, UsageError } from '../../../terminal/usage.ts'
import { sourcesOf } from './sources.ts'
import { howToWatch, type Submitted, submitAll } from './submit-all.ts'

const HELP = `npx trackchain submit WHAT…: uploads masters and has their assets made.

WHAT is any of
  a file           is uploaded; an upload that broke resumes when you start it again
  a folder         the audio files in it
  'music/**/*.wav' all matching files, in folders below as well. In quotes, so that the shell leaves it alone
  gs://… file:///… is not uploaded: the chain reads it where it is
  list.csv         a manifest with a header: asset_guid, master_uri, file, derivative_assets, title,
                   artist, site, lane, strict, request_id, release_id, asset_id, or some of these
  list.ndjson      a manifest of EncodeJobs (docs/reference/api.md), one a line, also with a "file" to upload
  -                a manifest on stdin, of either kind; each job is posted as its line comes

A track is named by its file's name and content, unless a manifest or --guid names it: the same file is
the same track, however it comes. Assets that exist are not made again, so the same command twice does
no harm. What macOS and Windows leave beside files (._x.wav, .DS_Store) is skipped.

  --assets A,B     assets to make (all); derivative_assets of a manifest take precedence
  --strict         refuse masters that have warnings (cut short, contradicting themselves, …)
  --lane LANE      how soon: urgent, new (the default) or backfill; that of a manifest's line takes precedence
  --guid GUID      the asset_guid of one file or URI
  --replace        replace other content that the track has; without this flag such a file is refused
  --watch          follow the tracks until all have ended
  --rate N         maximum of jobs a second (no limit)

${TARGET_HELP}
                   (scope: submit; with --watch also read)
  --json           a line of JSON for each: {"event":"submitted", "from", "asset_guid", "request_id"},
                   {"event":"refused", "from", "asset_guid", "code", "detail"} or {"event":"skipped", "from"};
                   with --watch as watch has it
  --help           show this help

  npx trackchain submit my-track.wav --watch
  npx trackchain submit ~/music/new --assets bpm,key
  npx trackchain submit gs://my-masters/2026/track.wav --guid 5f3c9a
  psql -c "copy (select …) to stdout csv header" | npx trackchain submit - --rate 50

Exit codes: 0 everything is submitted (with --watch: and done); 1 something was refused or failed, or the
API does not answer; 2 usage; 130 interrupted.
`

const STRING = { type: 'string' } as const
const OPTIONS = {
  ...TARGET_FLAGS,
  assets: STRING,
  guid: STRING,
  lane: STRING,
  rate: STRING,
  replace: { type: 'boolean', default: false },
  watch: { type: 'boolean', default: false },
  strict: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function submit(
  args: readonly string[],
  output: Output = TERMINAL,
  {
    stop = interruptible(() => {}),
    stdin = process.stdin,
  }: { stop?: AbortSignal; stdin?: AsyncIterable<Uint8Array> } = {},
): Promise<number> {
  const { values, positionals } = parsed(args, OPTIONS, true)
  if (values.help) {
    output.say(HELP)
    return 0
  }
  const target = targetOf(values)
  const rate = values.rate === undefined ? Number.POSITIVE_INFINITY : rateFrom(values.rate)
  const sources = await sourcesOf(positionals, { guid: values.guid, stdin })
  try {
    const { watch: isWatched, strict: isStrict, json: asJson, replace: mayReplace } = values
    const ended = await submitAll(sources, output, {
      target,
      rate,
      isStrict,
      lane: laneFrom(values.lane),
      mayReplace,
      isWatched,
      asJson,
      signal: stop,
      // Checked before gigabytes are uploaded.
      assets: await assetsFrom(values.assets, target),
    })
    const { refused, states } = ended
    const isDone = states.every((state) => state === 'done')
    if (!asJson) output.note(summary(ended, isWatched))
    return refused === 0 && isDone ? 0 : 1
  } catch (error) {
    if (stop.aborted) throw stop.reason
    if (!(error instanceof Refused)) throw explained(error, target)
    output.note(printable(error.message))
    return 1
  }
}

/** @throws UsageError when an asset is not available; Error when the API does not answer. */
async function assetsFrom(
  text: string | undefined,
  target: Target,
): Promise<readonly string[] | undefined> {
  type Offers = { derivatives: readonly { id: string }[] }
  const { derivatives } = await apiAt(target)<Offers>('/v1/derivatives')
  if (text === undefined) return undefined
  const wanted = text.split(',').filter((id) => id !== '')
  const offered = derivatives.map(({ id }) => id)
  const odd = wanted.find((id) => !offered.includes(id))
  if (odd === undefined && wanted.length > 0) return [...new Set(wanted)]
  throw new UsageError(
    `--assets: there are ${printable(offered.join(', '))}, got ${odd ?? text}.`,
  )
}

function laneFrom(text: string | undefined): Lane | undefined {
  const lane = LANES.find((each) => each === text)
  if (lane !== undefined || text === undefined) return lane
  throw new UsageError(`--lane: there are ${LANES.join(', ')}, got ${printable(text)}.`)
}

function rateFrom(text: string): number {
  const rate = Number(text)
  if (rate > 0 && rate <= 100_000) return rate
  throw new UsageError(`--rate must be a number of jobs a second, got ${text}.`)
}

function summary(
  { submitted, refused, states, warned }: Submitted,
  isWatched: boolean,
): string {
  const jobs = [...submitted.values()].reduce((sum, count) => sum + count, 0)
  const counts = new Map<string, number>()
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1)
  const words = [
    `${jobs} submitted`,
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...[...counts].map(([state, count]) => `${count} ${state}`),
    ...(warned > 0 ? [`${warned} with warnings`] : []),
  ]
  const how = isWatched || jobs === 0 ? '' : `\n${howToWatch([...submitted.keys()])}`
  return `${words.join(', ')}.${how}`
}
