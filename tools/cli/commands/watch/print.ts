import type { AssetStatus, JobStatus } from '#shared/contracts/api/job.ts'
import type { TrackAsset, TrackLine } from '#shared/contracts/api/track.ts'
import type { Warning } from '#shared/contracts/api/warning.ts'
import { hasEnded } from '#shared/contracts/has-ended.ts'
import type { Seen } from '../../../client/follow.ts'
import { bar } from '../../../terminal/bars.ts'
import { marked, markedTempo } from '../../../terminal/marked.ts'
import { jsonLine } from '../../../terminal/output.ts'
import { printable } from '../../../terminal/text.ts'

/** The most bars of tracks that are shown at a time. */
const MAX_BARS = 8

/** The text on a job whose state has changed; undefined when there is nothing to print. */
export function changeText(
  { request_id, job }: Seen,
  before: JobStatus | undefined,
  { asJson, isDrawn }: { readonly asJson: boolean; readonly isDrawn: boolean },
): string | undefined {
  const isEnd = hasEnded(job)
  if (asJson) {
    const { asset_guid, state, percent } = job
    const about = { event: isEnd ? 'ended' : 'state', request_id, asset_guid, state }
    return jsonLine({
      ...about,
      percent,
      ...(isEnd ? { warnings: job.warnings, assets: job.assets } : {}),
    })
  }
  if (isEnd) return endText(job)
  const isOld = before?.state === job.state
  return isDrawn || isOld ? undefined : line(job.state, job.asset_guid)
}

/** A line on the result of a job, and one for each reason why assets failed. */
function endText({ state, asset_guid, assets, warnings }: JobStatus): string {
  const made = assets.filter((asset) => asset.state === 'made')
  const facts = [factsOf(assets), made.map(({ asset }) => asset).join(',')]
  return [
    line(state, asset_guid, ...facts),
    ...warnings.map((each) => `    ${warningLine(each)}`),
    ...failures(assets).map(({ line }) => `    ${line}`),
  ].join('\n')
}

/** The line on a warning: what is missing or wrong in a master. */
export function warningLine({ code, sentence }: Warning): string {
  return printable(`warning  ${code}: ${sentence}`)
}

/** An asset of a job or of a track. */
type Asset = AssetStatus | TrackAsset

/** A line for each reason why assets failed, with the remedy. */
export function failures(
  assets: readonly Asset[],
): { readonly line: string; readonly remedy: string | undefined }[] {
  const failed = assets.filter((asset) => asset.state === 'failed')
  const reasons = Map.groupBy(failed, ({ code, sentence }) => `${code}: ${sentence}`)
  return [...reasons].map(([reason, those]) => {
    const ids = those.map(({ asset }) => asset).join(',')
    const remedy = those[0]?.remedy
    return {
      line: printable(`${ids}: ${reason}`),
      remedy: remedy === undefined ? undefined : printable(remedy),
    }
  })
}

/** What is known of a track by its assets, in a few words. */
export function factsOf(assets: readonly Asset[]): string {
  const made = assets.filter((asset) => asset.state === 'made')
  const result = (id: string) =>
    (made.find(({ asset }) => asset === id)?.result ?? {}) as Record<string, unknown>
  const { bpm, confidence, bpmError } = result('bpm')
  const { camelot, confidence: ofKey } = result('key')
  const { integrated } = result('loudness')
  return [
    ...(typeof bpm === 'number'
      ? [`${markedTempo(bpm, numberIn(confidence), numberIn(bpmError))} BPM`]
      : []),
    ...(typeof camelot === 'string' ? [marked(camelot, numberIn(ofKey))] : []),
    ...(typeof integrated === 'number' ? [`${integrated.toFixed(1)} LUFS`] : []),
  ].join('  ')
}

/** The bars of what is under way, and a last one of all. */
export function barsOf(seen: Iterable<Seen>, all: number, began: number): string[] {
  const jobs = [...seen].map(({ job }) => job)
  const running = jobs.filter((job) => !hasEnded(job))
  const share = jobs.reduce((sum, job) => sum + shareOf(job), 0) / Math.max(1, all)
  const ended = jobs.length - running.length
  const notDone = jobs.filter((job) => hasEnded(job) && job.state !== 'done').length
  const failed = notDone === 0 ? '' : `, ${notDone} not done`
  const more = running.length > MAX_BARS ? `, ${running.length} under way` : ''
  const seconds = Math.round((performance.now() - began) / 1000)
  return [
    ...running
      .sort((a, b) => shareOf(b) - shareOf(a))
      .slice(0, MAX_BARS)
      .map((job) => bar(shareOf(job), job.asset_guid)),
    bar(share, `${ended} of ${all} ended${failed}${more}, ${seconds} s`),
  ]
}

/** A track of the live stream. */
export function trackText(track: TrackLine): string {
  const { asset_guid, state, assets, warnings = [] } = track
  const warned = warnings.length === 0 ? '' : `warnings: ${warnings.join(',')}`
  const failed = assets.failed.length === 0 ? '' : `failed: ${assets.failed.join(',')}`
  return line(state, asset_guid, trackFacts(track), assets.made.join(','), warned, failed)
}

function trackFacts(track: TrackLine): string {
  const { bpm, bpm_confidence, bpm_error, camelot, loudness_lufs: lufs } = track
  return [
    ...(bpm == null ? [] : [`${markedTempo(bpm, bpm_confidence, bpm_error)} BPM`]),
    ...(camelot == null ? [] : [marked(camelot, track.key_confidence)]),
    ...(lufs == null ? [] : [`${lufs.toFixed(1)} LUFS`]),
  ].join('  ')
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

function shareOf(job: JobStatus): number {
  return hasEnded(job) ? 1 : job.percent / 100
}

function line(state: string, ...words: readonly string[]): string {
  return printable([state.padEnd(8), ...words.filter((word) => word !== '')].join('  '))
}
