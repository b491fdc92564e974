import type {
  AssetTold,
  EventTold,
  JobTold,
  RequestTold,
  TrackTold,
  WarningTold,
} from '#shared/contracts/api/job.ts'
import { clock } from '../../../terminal/clock.ts'
import { table } from '../../../terminal/table.ts'
import { printable } from '../../../terminal/text.ts'
import { factsOf, failures, warningLine } from '../watch/print.ts'

/** A request with its tracks and their assets, for a person. */
export function requestText({ request_id, state, percent, jobs }: RequestTold): string {
  const tracks = `${jobs.length} ${jobs.length === 1 ? 'track' : 'tracks'}`
  return [
    `request ${request_id}: ${state}, ${percent} %, ${tracks}`,
    ...jobs.map(jobText),
  ].join('\n')
}

/** What exists for a track, for a person. */
export function trackShown(track: TrackTold): string {
  const { asset_guid, title, artist, state, request_id, revision, master, assets } = track
  const warnings = track.warnings.flatMap(warned)
  const names = [artist, title].filter((name) => name !== undefined && name !== '')
  const lines: [string, string][] = [
    ['track', [asset_guid, names.join(' – ')].filter((word) => word !== '').join('  ')],
    ...(state === undefined ? [] : [['state', `${state}, request ${request_id}`] as const]),
    [
      'master',
      `${master.uri} (${master.layout}, ${clock(master.seconds)}), revision ${revision}`,
    ],
    ...(factsOf(assets) === '' ? [] : [['is', factsOf(assets)] as const]),
  ].map(([name = '', words = '']) => [name, words])
  const facts = lines.map(([name, words]) => `${name.padEnd(8)} ${printable(words)}`)
  const letters = lettersHint(asset_guid, track.dead_lettered === true)
  return [...facts, ...warnings, ...assetsText(assets), ...letters].join('\n')
}

/** The command to run when a track is dead-lettered, so that nothing more happens by itself. */
function lettersHint(guid: string, isDeadLettered: boolean): string[] {
  if (!isDeadLettered) return []
  return [printable(`  letter   open: npx trackchain dead-letters list --track ${guid}`)]
}

/** Events as a table, the latest first. */
export function historyTable(events: readonly EventTold[]): string {
  const rows = events.map((event) => [
    event.at,
    event.step,
    event.verdict,
    `${event.run ?? ''}`,
    `${event.attempt ?? ''}`,
    `${event.ms ?? ''}`,
    [event, ...(event.warnings ?? [])]
      .flatMap(({ code, sentence }) => (code === undefined ? [] : [`${code}: ${sentence}`]))
      .join('; '),
  ])
  const header = ['at', 'step', 'verdict', 'run', 'attempt', 'ms', 'why']
  return table([header, ...rows.map((row) => row.map((cell) => printable(cell)))])
}

function jobText(job: JobTold): string {
  const { asset_guid, state, percent, run, dead_lettered, assets, warnings } = job
  const share = percent === 100 ? '' : `  ${percent} %`
  const words = [asset_guid, state + share, `run ${run}`, factsOf(assets)]
  const head = printable(words.filter((word) => word !== '').join('  '))
  const letters = lettersHint(asset_guid, dead_lettered)
  return [`\n${head}`, ...warnings.flatMap(warned), ...assetsText(assets), ...letters].join(
    '\n',
  )
}

function assetsText(assets: readonly AssetTold[]): string[] {
  const of = (wanted: string) => assets.filter(({ state }) => state === wanted)
  const listed = (name: string, words: readonly string[]) =>
    words.length === 0 ? [] : [printable(`  ${name.padEnd(8)} ${words.join(' ')}`)]
  return [
    ...listed('made', of('made').map(versioned)),
    ...listed('pending', of('pending').map(unitsOf)),
    ...failures(assets).flatMap(failed),
  ]
}

function warned(warning: WarningTold): string[] {
  const { remedy } = warning
  const line = `  ${warningLine(warning)}`
  return remedy === undefined ? [line] : [line, `           ${printable(remedy)}`]
}

function failed({ line, remedy }: ReturnType<typeof failures>[number]): string[] {
  return [`  failed   ${line}`, ...(remedy === undefined ? [] : [`           ${remedy}`])]
}

function versioned({ asset, version }: AssetTold): string {
  return version === undefined ? asset : `${asset}@${version}`
}

function unitsOf({ asset, units_done, units }: AssetTold): string {
  return units === undefined || units < 2 ? asset : `${asset} (${units_done ?? 0}/${units})`
}
