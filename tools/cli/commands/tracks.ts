import type { TrackLine, TrackPage } from '#shared/contracts/api/track.ts'
import { LIKELY } from '#shared/contracts/likely.ts'
import { MAX_LISTED, showList } from '../../client/show-list.ts'
import { apiAt, TARGET_FLAGS, TARGET_HELP, targetOf } from '../../client/target.ts'
import { clock } from '../../terminal/clock.ts'
import { MARK_LEGEND, marked, markedTempo } from '../../terminal/marked.ts'
import { type Output, TERMINAL } from '../../terminal/output.ts'
import { table } from '../../terminal/table.ts'
import { printable } from '../../terminal/text.ts'
import { count, parsed, UsageError } from '../../terminal/usage.ts'

const HELP = `npx trackchain tracks [FLAGS]: searches the catalogue; the latest activity comes first.

  --bpm RANGE      120-128, 174, 120- or -90
  --seconds RANGE  length, e.g. 180-600
  --key KEY        in any notation: 'A minor', Am, 8A, 1m
  --harmonic       with --key: also the keys that mix with it, its neighbours on the Camelot wheel
  --confidence N   minimum confidence of what is searched for (--bpm, --key; without either both), 0 to 1
                   (0.5 with --harmonic, else 0)
  --asset ASSET    has this asset, e.g. aac-128
  --stale ASSET    has it in an older version alone, e.g. after an upgrade brought a new one
  --lacks ASSET    does not have it (of neither: what has failed for good in the current version)
  --state STATE    running, done, partial or failed
  --warning CODE   has this warning, e.g. CUT_SHORT; any: has one; none: has none
  --q TEXT         the beginning of an asset_guid, or words of title and artist
  --limit N        maximum of tracks (50)

${TARGET_HELP}
                   (scope: read)
  --json           a line of JSON for each track, as GET /v1/tracks has it
  --help           show this help

  npx trackchain tracks --bpm 120-128 --key 8A --harmonic
  npx trackchain tracks --state failed --limit 1000
  npx trackchain tracks --stale bpm --lacks flac
  npx trackchain tracks --json --limit 100000 | jq -r '[.asset_guid, .bpm, .camelot] | @csv'

Exit codes: 0 success, also without a match; 1 the API refuses or does not answer; 2 usage; 130 interrupted.
`

const STRING = { type: 'string' } as const
const OPTIONS = {
  ...TARGET_FLAGS,
  bpm: STRING,
  seconds: STRING,
  key: STRING,
  asset: STRING,
  state: STRING,
  q: STRING,
  confidence: STRING,
  warning: STRING,
  stale: STRING,
  lacks: STRING,
  harmonic: { type: 'boolean', default: false },
  limit: { type: 'string', default: '50' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function tracks(
  args: readonly string[],
  output: Pick<Output, 'say' | 'note' | 'gone'> = TERMINAL,
): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    output.say(HELP)
    return 0
  }
  if (values.harmonic && values.key === undefined) {
    throw new UsageError('--harmonic needs a --key.')
  }
  const query = new URLSearchParams()
  for (const name of ['bpm', 'seconds'] as const) addRange(query, name, values[name])
  for (const name of ['key', 'asset', 'stale', 'lacks', 'state', 'warning', 'q'] as const) {
    const value = values[name]
    if (value !== undefined) query.set(name, value)
  }
  if (values.harmonic) query.set('harmonic', '1')
  if (values.confidence !== undefined) query.set('confidence_from', share(values.confidence))
  const most = count('limit', values.limit, MAX_LISTED) as number
  const list = {
    ...{ path: '/v1/tracks', query, most, json: values.json, none: 'No such tracks.' },
    itemsOf: ({ tracks }: TrackPage) => tracks,
    textOf: tableOf,
    legendOf: (lines: readonly TrackLine[]) => (lines.some(isMarked) ? MARK_LEGEND : undefined),
  }
  return await showList(apiAt(targetOf(values)), list, output)
}

/** Parses `120-128`, `120-` (at least), `-128` (at most) or `120` (exactly). */
function addRange(query: URLSearchParams, name: string, text: string | undefined): void {
  if (text === undefined) return
  const number = '(\\d{1,6}(?:\\.\\d{1,6})?)'
  const [, from, to] = new RegExp(`^${number}?-${number}?$`).exec(text) ?? []
  const [, alone] = new RegExp(`^${number}$`).exec(text) ?? []
  const [least, most] = [from ?? alone, to ?? alone]
  if (least === undefined && most === undefined) {
    throw new UsageError(`--${name} must be a range such as 120-128, got ${text}.`)
  }
  if (least !== undefined) query.set(`${name}_from`, least)
  if (most !== undefined) query.set(`${name}_to`, most)
}

/** A share from 0 to 1, as the API takes it. @throws UsageError */
function share(text: string): string {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (value >= 0 && value <= 1) return String(Number(value.toFixed(6)))
  throw new UsageError(`--confidence must be a number from 0 to 1, got ${text}.`)
}

function isMarked({ bpm_confidence = 1, key_confidence = 1 }: TrackLine): boolean {
  return Math.min(bpm_confidence, key_confidence) < LIKELY
}

function tableOf(rows: readonly TrackLine[]): string {
  const header = ['track', 'title', 'state', 'length', 'BPM', 'key', 'Camelot', 'LUFS']
  const cells = rows.map(({ assets, ...track }) => [
    ...[short(track.asset_guid), short(named(track)), track.state],
    track.seconds === undefined ? '' : clock(track.seconds),
    track.bpm === undefined
      ? ''
      : markedTempo(track.bpm, track.bpm_confidence, track.bpm_error),
    track.key ?? '',
    track.camelot === undefined ? '' : marked(track.camelot, track.key_confidence),
    track.loudness_lufs?.toFixed(1) ?? '',
    `${assets.made.length}`,
    assets.failed.length > 3 ? `${assets.failed.length} assets` : assets.failed.join(','),
    track.warnings?.join(',') ?? '',
    track.updated.slice(0, 19).replace('T', ' '),
  ])
  const all = [[...header, 'made', 'failed', 'warnings', 'changed (UTC)'], ...cells]
  return table(all.map((row) => row.map((cell) => printable(cell))))
}

function named({ artist = '', title = '' }: Pick<TrackLine, 'artist' | 'title'>): string {
  return [artist, title].filter((name) => name !== '').join(' – ')
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text
}
