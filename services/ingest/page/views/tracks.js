import { hue } from '../lib/camelot.js'
import { trackHref } from '../lib/route.js'
import { html, useEffect } from '../lib/vendor.js'
import { useMedia, useWindow } from '../lib/virtual.js'
import { useWatched } from '../lib/watchable.js'
import { ago, counted, isUnlikely, length, level, nameOf, tempo } from '../lib/words.js'
import { Filters } from './filters.js'
import { WarningChip } from './warnings.js'

/** @import { TrackLine } from '../lib/types.d.ts' */
/** @import { Listed, TrackList } from '../lib/track-list.js' */

/** Heights of a line, px, as in page.css. */
const LINE_PX = 60
const NARROW_LINE_PX = 88
/** The next page is loaded when fewer than this number of lines are left. */
const AHEAD = 60

/**
 * The list of tracks with its filters. Pages are loaded while the user scrolls.
 * @param {{ tracks: TrackList, query: URLSearchParams }} props
 */
export function Tracks({ tracks, query }) {
  const listed = useWatched(tracks.listed)
  const asked = query.toString()
  useEffect(() => tracks.show(asked), [asked])
  const { lines, next, fault } = listed
  const isNarrow = useMedia('(max-width: 720px)')
  const height = isNarrow ? NARROW_LINE_PX : LINE_PX
  const { list, from, to } = useWindow(lines.length, height)
  useEffect(() => tracks.setAtHead(from === 0), [from === 0])
  useEffect(() => {
    if (to > lines.length - AHEAD && fault === undefined) tracks.more()
  }, [to, lines.length, next, fault])

  return html`<section class="tracks" aria-labelledby="tracks-title">
    <div class="head">
      <h2 id="tracks-title">Tracks</h2>
      <span class="quiet" role="status">${howMany(listed, asked)}</span>
      ${
        listed.waiting > 0 &&
        html`<button class="fresh" onClick=${() => {
          tracks.showFresh()
          list.current?.scrollIntoView({ block: 'start' })
        }}>Show ${counted(listed.waiting)} new</button>`
      }
    </div>
    <${Filters} query=${query} />
    ${
      lines.length > 0 &&
      html`<div class="columns" aria-hidden="true">
      <span>Track</span><span>State</span><span class="n">BPM</span><span>Key</span>
      <span class="n">Loudness</span><span class="n">Length</span><span class="n">Last change</span>
    </div>`
    }
    <ol class="lines" ref=${list} style=${{ height: `${lines.length * height}px` }}>
      ${lines.slice(from, to).map((line, i) => {
        const top = (from + i) * height
        return html`<${Line} key=${line.asset_guid} ...${{ line, top, place: from + i + 1 }} />`
      })}
    </ol>
    ${
      fault !== undefined &&
      html`<p class="fault" role="alert">${fault} <button onClick=${tracks.reload}>Try again</button></p>`
    }
  </section>`
}

/**
 * @param {Listed} listed
 * @param {string} asked
 */
function howMany({ lines, next, isLoading, fault }, asked) {
  if (fault !== undefined) return ''
  if (lines.length === 0) {
    if (isLoading || next !== null) return 'Loading …'
    return asked === '' ? 'No tracks yet. Drop audio above.' : 'No track matches.'
  }
  return next === null ? counted(lines.length) : `${counted(lines.length)} and more`
}

/** @param {{ line: TrackLine, top: number, place: number }} props */
function Line({ line, top, place }) {
  const { state, bpm, camelot, key, loudness_lufs: lufs, seconds, updated, artist } = line
  const { bpm_confidence, bpm_error, key_confidence, warnings } = line
  const name = nameOf(line)
  return html`<li aria-posinset=${place} aria-setsize="-1" style=${{ transform: `translateY(${top}px)` }}>
    <a class="line" href=${trackHref(line.asset_guid)}>
      <span class="name"><b>${name}</b><small>${artist || (name === line.asset_guid ? '' : line.asset_guid)}</small></span>
      <span><${StateChip} state=${state} assets=${line.assets} /><${WarningChip} codes=${warnings} /></span>
      <span class="n" data-label="BPM"><${Sure} confidence=${bpm_confidence}>${tempo(bpm, bpm_error)}<//></span>
      <span data-label="Key"><${Sure} confidence=${key_confidence}><${KeyChip} camelot=${camelot} name=${key} /><//></span>
      <span class="n" data-label="Loudness">${typeof lufs === 'number' ? `${level(lufs)} LUFS` : '–'}</span>
      <span class="n" data-label="Length">${length(seconds)}</span>
      <time class="n quiet" datetime=${updated}>${ago(updated)}</time>
    </a>
  </li>`
}

const STATES = /** @type {const} */ ({
  accepted: 'waiting',
  running: 'running',
  done: 'done',
  partial: 'partly',
  failed: 'failed',
  cancelled: 'cancelled',
})

/**
 * @param {{ state: TrackLine['state'], assets?: TrackLine['assets'] | undefined }} props
 */
export function StateChip({ state, assets }) {
  const all = assets && assets.made.length + assets.failed.length + assets.pending.length
  const of =
    state === 'running' && assets && all
      ? ` ${assets.made.length + assets.failed.length}/${all}`
      : ''
  return html`<span class=${`chip is-${state}`}>${STATES[state]}${of}</span>`
}

/** @param {{ camelot: string | null | undefined, name?: string | null | undefined }} props */
export function KeyChip({ camelot, name }) {
  if (!camelot) return html`<span class="quiet">–</span>`
  return html`<span class="key" style=${{ '--hue': hue(camelot) }}><b>${camelot}</b>${name && html` <small>${name}</small>`}</span>`
}

/**
 * A finding. It is dimmed and has a question mark if its probability is below 0.5.
 * @param {{ confidence: number | null | undefined, children?: unknown }} props
 */
export function Sure({ confidence, children }) {
  if (typeof confidence !== 'number' || !isUnlikely(confidence)) return html`${children}`
  const said = `uncertain: ${Math.round(confidence * 100)} %`
  return html`<span class="unsure" title=${said}>${children}<span aria-hidden="true">?</span><span class="unseen"> ${said}</span></span>`
}
