import type { PeerSummary } from './peers.ts'
import type {
  Band,
  Coverage,
  Figures,
  KeySummary,
  Share,
  Summary,
  TempoSummary,
} from './summary.ts'
import type { Track } from './track.ts'

/** Widths of the columns of the list of files. */
const WIDTHS = [50, -7, -9, 4, 6, 9, 9, 3, 4, 8]

/** The heading of the columns of `trackLine`. */
export function trackHeading(): string {
  return columns(['file', 'BPM', 'found', 'sure', '', 'key', 'found', '', 'sure', ''])
}

/** One line of the list of files: truth, estimate, confidence and what is wrong with it. */
export function trackLine(track: Track): string {
  const { truth, verdict } = track
  if (track.error !== null) return columns([track.file, `unreadable: ${track.error}`])
  const { tempo, key } = verdict
  return columns([
    track.file,
    truth.bpm?.toFixed(2) ?? '-',
    track.bpm?.toFixed(2) ?? track.bpmReason ?? '-',
    track.bpmConfidence.toFixed(2),
    !tempo || tempo.accuracy1 ? '' : tempo.accuracy2 ? 'octave' : 'MISS',
    truth.key ?? '-',
    track.key ?? track.keyReason ?? '-',
    track.camelot ?? '',
    track.keyConfidence.toFixed(2),
    !key || key.relation === 'exact' ? '' : key.relation,
  ])
}

/** The summary, for people. */
export function summaryText(summary: Summary): string {
  const { tempoConfidence, keyConfidence, kinds, coreSecondsPerMinute } = summary
  const several = Object.entries(kinds)
  return [
    figuresText(`${summary.files} files, ${summary.audioMinutes.toFixed(1)} min`, summary),
    `tempo confidence: Accuracy2 by band  ${bandsText(tempoConfidence.bands)}`,
    `  ${sureText(tempoConfidence.sure, 'Accuracy2')}`,
    `key confidence: exact by band  ${bandsText(keyConfidence.bands)}`,
    `  ${sureText(keyConfidence.sure, 'exact')}`,
    `cost: ${coreSecondsPerMinute?.toFixed(3) ?? '-'} core-seconds a minute of audio`,
    ...several.map(
      ([kind, figures]) => `\n${figuresText(`${kind}: ${figures.files} files`, figures)}`,
    ),
  ].join('\n')
}

/** One peer's figures, for people. */
export function peerText({
  name,
  tempo,
  key,
  coreSecondsPerMinute,
  failed,
}: PeerSummary): string {
  return [
    `${name}: ${coreSecondsPerMinute?.toFixed(3) ?? '-'} core-seconds a minute${failed > 0 ? `, failed on ${failed}` : ''}`,
    ...(tempo ? tempoText(tempo) : []),
    ...(key ? keyText(key) : []),
  ].join('\n')
}

function figuresText(title: string, { unreadable, tempo, key }: Figures): string {
  return [
    unreadable > 0 ? `${title}, ${unreadable} unreadable` : title,
    ...(tempo.accuracy1.of > 0 ? tempoText(tempo) : []),
    ...(key.exact.of > 0 ? keyText(key) : []),
  ].join('\n')
}

function tempoText(tempo: TempoSummary): string[] {
  return [
    `  tempo  Accuracy1 ${shareText(tempo.accuracy1)}, Accuracy2 ${shareText(tempo.accuracy2)}`,
    `         within 1 % ${shareText(tempo.within1Percent)}, within 0.1 BPM ${shareText(tempo.within01)}, modulo octave ${shareText(tempo.within01Octave)}`,
  ]
}

function keyText({ weighted, exact, relations }: KeySummary): string[] {
  const off = Object.entries(relations)
    .filter(([relation, count]) => relation !== 'exact' && count > 0)
    .map(([relation, count]) => `${count} ${relation}`)
  const list = off.length > 0 ? `; ${off.join(', ')}` : ''
  return [`  key    MIREX weighted ${ratioText(weighted)}, exact ${shareText(exact)}${list}`]
}

function bandsText(bands: readonly Band[]): string {
  return bands
    .filter(({ of }) => of > 0)
    .map(({ from, to, of, ratio }) => `${from}-${to}: ${ratioText(ratio)} of ${of}`)
    .join(', ')
}

function sureText({ from, coverage, right }: Coverage, measure: string): string {
  return `confidence ≥ ${from}: ${coverage.of - coverage.missed} of ${coverage.of} tracks (${ratioText(coverage.ratio)}), ${measure} there ${shareText(right)}`
}

function shareText({ ratio, missed, of }: Share): string {
  return of === 0 ? '-' : `${ratioText(ratio)} (${missed} of ${of} missed)`
}

function ratioText(ratio: number | null): string {
  return ratio === null ? '-' : ratio.toFixed(3).replace(/^0/, '')
}

/** A negative width pads at the left. */
function columns(cells: readonly string[]): string {
  return cells
    .map((cell, i) => {
      const width = WIDTHS[i] ?? 0
      return width < 0 ? cell.padStart(-width) : cell.padEnd(width)
    })
    .join(' ')
    .trimEnd()
}
