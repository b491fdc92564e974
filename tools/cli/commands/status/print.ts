import type { HistoryEvent } from '#shared/contracts/api/history.ts'
import type { AssetStatus, JobRequest, JobStatus } from '#shared/contracts/api/job.ts'
import type { TrackAsset, TrackDetail } from '#shared/contracts/api/track.ts'
import type { Warning } from '#shared/contracts/api/warning.ts'
import { clock } from '../../../terminal/clock.ts'
import { table } from '../../../terminal/table.ts'
import { printable } from '../../../terminal/text.ts'
import { factsOf, failures, warningLine } from '../watch/print.ts'

/** A request with its tracks and their assets, for a person. */
export function requestLines({ request_id, state, percent, jobs }: JobRequest): string {
  const tracks = `${jobs.length} ${jobs.length === 1 ? 'track' : 'tracks'}`
  return [
    `request ${request_id}: ${state}, ${percent} %, ${tracks}`,
    ...jobs.map(jobLines),
  ].join('\n')
}

/** What exists for a track, for a person. */
export function trackShown(track: TrackDetail): string {
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
  const letters = letterLines(asset_guid, track.dead_lettered === true)
  return [...facts, ...warnings, ...assetLines(assets), ...letters].join('\n')
}

/** The command to run when a track is dead-lettered, so that nothing more happens by itself. */
function letterLines(guid: string, isDeadLettered: boolean): string[] {
  if (!isDeadLettered) return []
  return [printable(`  letter   open: npx trackchain dead-letters list --track ${guid}`)]
}

/** Events as a table, the latest first. */
export function historyTable(events: readonly HistoryEvent[]): string {
  const rows = events.map((event) => [
    event.at,
    event.step,
    event.verdict,
    `${event.run ?? ''}`,
    `${event.attempt}`,
    `${event.ms}`,
    [event, ...(event.warnings ?? [])]
      .flatMap(({ code, sentence }) => (code === undefined ? [] : [`${code}: ${sentence}`]))
      .join('; '),
  ])
  const header = ['at', 'step', 'verdict', 'run', 'attempt', 'ms', 'why']
  return table([header, ...rows.map((row) => row.map((cell) => printable(cell)))])
}

function jobLines(job: JobStatus): string {
  const { asset_guid, state, percent, run, dead_lettered, assets, warnings } = job
  const share = percent === 100 ? '' : `  ${percent} %`
  const words = [asset_guid, state + share, `run ${run}`, factsOf(assets)]
  const head = printable(words.filter((word) => word !== '').join('  '))
  const letters = letterLines(asset_guid, dead_lettered)
  return [`\n${head}`, ...warnings.flatMap(warned), ...assetLines(assets), ...letters].join(
    '\n',
  )
}

function assetLines(assets: readonly (AssetStatus | TrackAsset)[]): string[] {
  const listed = (name: string, words: readonly string[]) =>
    words.length === 0 ? [] : [printable(`  ${name.padEnd(8)} ${words.join(' ')}`)]
  return [
    ...listed('made', assets.filter((each) => each.state === 'made').map(versioned)),
    ...listed('pending', assets.filter((each) => each.state === 'pending').map(unitsOf)),
    ...listed(
      'not made',
      assets.flatMap(({ asset, state }) => (state === 'cancelled' ? [asset] : [])),
    ),
    ...failures(assets).flatMap(failed),
  ]
}

function warned(warning: Warning): string[] {
  const { remedy } = warning
  const line = `  ${warningLine(warning)}`
  return remedy === undefined ? [line] : [line, `           ${printable(remedy)}`]
}

function failed({ line, remedy }: ReturnType<typeof failures>[number]): string[] {
  return [`  failed   ${line}`, ...(remedy === undefined ? [] : [`           ${remedy}`])]
}

function versioned({ asset, version }: Pick<TrackAsset, 'asset' | 'version'>): string {
  return `${asset}@${version}`
}

type Pending = Extract<AssetStatus, { state: 'pending' }>

function unitsOf({ asset, units_done, units }: Pending): string {
  return units === undefined || units < 2 ? asset : `${asset} (${units_done ?? 0}/${units})`
}
