import { basename, join, relative } from 'node:path'
import type { TempoEstimate } from '#shared/assets/definition.ts'
import { STAGES } from '#shared/contracts/stages.ts'
import type { TrackResult } from '../../client/track-result.ts'
import { clock } from '../../terminal/clock.ts'
import { marked, markedTempo } from '../../terminal/marked.ts'
import { table } from '../../terminal/table.ts'
import type { ScratchSeen } from './scratch-watch.ts'

interface ReportOptions {
  /** The folder that the assets were copied to. */
  readonly out: string
  readonly scratch: ScratchSeen
  readonly asJson: boolean
}

const STEPS = [...STAGES, 'publish'] as const

/** The results of the tracks, for a person or as JSON. */
export function report(results: readonly TrackResult[], options: ReportOptions): string {
  const { out, scratch, asJson } = options
  if (asJson) return asDocument(results, options)
  const rows = results.flatMap((result) => {
    const { expected } = result
    const row = rowOf(result)
    if (!expected) return [row]
    const bpm = expected.bpm.toFixed(2)
    return [row, ['  expected', '', '', bpm, '', expected.key, expected.camelot]]
  })
  const header = ['track', 'state', 'length', 'BPM', 'conf.', 'key', 'Camelot', 'conf.']
  const parts = [
    table([[...header, ...STEPS.map((step) => `${step} ms`)], ...rows]),
    ...results.map((result) => assetsOf(result, out)),
    scratchOf(scratch),
    verdictOf(results),
    `The files are in ${out}`,
  ]
  return `\n${parts.join('\n\n')}\n\n`
}

function asDocument(results: readonly TrackResult[], { out, scratch }: ReportOptions): string {
  const tracks = results.map((result) => ({
    ...result,
    files: result.files.map((file) => ({
      ...file,
      path: readablePath(out, result.guid, file.name),
    })),
  }))
  return `${JSON.stringify({ folder: out, scratch, tracks }, null, 2)}\n`
}

function rowOf(result: TrackResult): string[] {
  const { guid, state, seconds, tempo, key, ms } = result
  return [
    guid.length > 40 ? `${guid.slice(0, 39)}…` : guid,
    state,
    seconds === null ? '' : clock(seconds),
    tempo ? tempoOf(tempo) : '',
    tempo?.confidence.toFixed(2) ?? '',
    key ? (key.key ?? key.reason ?? 'none') : '',
    marked(key?.camelot ?? '', key?.camelot == null ? null : key.confidence),
    key?.confidence.toFixed(2) ?? '',
    ...STEPS.map((step) => (ms[step] === undefined ? '' : ms[step].toFixed(0))),
  ]
}

function tempoOf({ bpm, confidence, bpmError, reason }: TempoEstimate): string {
  return bpm === null ? (reason ?? 'none') : markedTempo(bpm, confidence, bpmError)
}

function assetsOf({ guid, layout, files, faults }: TrackResult, out: string): string {
  const paths = files.map(({ name }) => relative(out, readablePath(out, guid, name)))
  const width = Math.max(0, ...paths.map(({ length }) => length))
  const lines = files.map(({ bytes }, index) => {
    return `  ${paths[index]?.padEnd(width)}  ${size(bytes).padStart(9)}`
  })
  const title = layout === null ? guid : `${guid} (${layout})`
  return [title, ...lines, ...faults.map((fault) => `  failed: ${fault}`)].join('\n')
}

function scratchOf({ mostFiles, mostBytes, left }: ScratchSeen): string {
  if (mostFiles === 0) return 'Scratch: not needed, all masters were read where they lie.'
  const now = left === 0 ? 'removed' : `${left} files are still there`
  return `Scratch: up to ${mostFiles} files, ${size(mostBytes)}, while the tracks were under way; ${now}.`
}

function verdictOf(results: readonly TrackResult[]): string {
  const done = results.filter(({ state }) => state === 'done').length
  if (done === results.length) return `${done} of ${done} done.`
  const others = results.filter(({ state }) => state !== 'done')
  const names = others.map(({ guid, state }) => `${guid} ${state}`).join(', ')
  return `${done} of ${results.length} done; not so: ${names}.`
}

function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

/** Where a file of an asset is copied to: without the revision and the version. */
export function readablePath(out: string, guid: string, objectName: string): string {
  return join(out, guid, basename(objectName).replace(/@\d+(?=\.)/, ''))
}
