import { listHref } from '../lib/route.js'
import { html } from '../lib/vendor.js'
import { isUnlikely, level, sureness, tempo as tempoText } from '../lib/words.js'
import { Wheel } from './wheel.js'

/** @import { Key, Loudness, Tempo, TrackDetail } from '../lib/types.d.ts' */

/** The range of pitch control, as a share of the tempo, in each direction. */
const PITCH = 0.06

/**
 * The result of one of the track's assets; undefined when the asset was not made.
 * @template T
 * @param {TrackDetail} track
 * @param {string} id
 * @returns {T | undefined}
 */
export function resultOf({ assets }, id) {
  const found = assets
    .filter((asset) => asset.state === 'made')
    .find(({ asset }) => asset === id)
  return /** @type {T | undefined} */ (found?.result)
}

/**
 * Tempo, key and loudness.
 * @param {{ track: TrackDetail }} props
 */
export function Results({ track }) {
  const tempo = /** @type {Tempo | undefined} */ (resultOf(track, 'bpm'))
  const key = /** @type {Key | undefined} */ (resultOf(track, 'key'))
  const loudness = /** @type {Loudness | undefined} */ (resultOf(track, 'loudness'))
  return html`<div class="results">
    ${tempo && html`<${TempoCard} ...${tempo} />`}
    ${key && html`<${KeyCard} tempo=${tempo} found=${key} />`}
    ${loudness && html`<${LoudnessCard} ...${loudness} />`}
  </div>`
}

/** @param {Tempo} props */
function TempoCard({
  bpm,
  bpmError,
  reason,
  confidence,
  steady,
  firstBeatMs,
  tempoOverTime = [],
}) {
  const bpms = tempoOverTime.map((section) => section.bpm)
  const span = `${Math.min(...bpms).toFixed(1)} to ${Math.max(...bpms).toFixed(1)}`
  return html`<section class="card" aria-labelledby="tempo-title">
    <h2 id="tempo-title">Tempo</h2>
    <p class=${`big ${isUnlikely(confidence) && bpm !== null ? 'unsure' : ''}`}>${bpm === null ? 'none' : tempoText(bpm, bpmError)}<small>${bpm === null ? reason : 'BPM'}</small></p>
    <dl>
      ${bpm !== null && html`<${Sure} confidence=${confidence} />`}
      ${steady === false && bpms.length > 1 && html`<${Fact} name="changes" value=${span} />`}
      ${steady === true && html`<${Fact} name="steady" value="throughout" />`}
      ${typeof firstBeatMs === 'number' && html`<${Fact} name="first beat" value=${`${Math.round(firstBeatMs)} ms`} />`}
    </dl>
  </section>`
}

/** @param {{ found: Key, tempo: Tempo | undefined }} props */
function KeyCard({ found, tempo }) {
  const { key, camelot, openKey, reason, confidence, tuningHz } = found
  if (key === null || !camelot)
    return html`<section class="card" aria-labelledby="key-title">
      <h2 id="key-title">Key</h2>
      <p class="big">none<small>${reason}</small></p>
    </section>`
  const isGuess = isUnlikely(confidence)
  // An uncertain tempo does not narrow the search.
  const bpm = isUnlikely(tempo?.confidence) ? null : (tempo?.bpm ?? null)
  const around = (/** @type {number} */ factor) =>
    bpm === null ? '' : (bpm * (1 + factor)).toFixed(1)
  const mixes = { key: camelot, harmonic: '1', bpm_from: around(-PITCH), bpm_to: around(PITCH) }
  return html`<section class="card is-key" aria-labelledby="key-title">
    <h2 id="key-title">Key</h2>
    <${Wheel} camelot=${camelot} label=${key} isGuess=${isGuess} />
    <div>
    <dl>
      <${Fact} name="key" value=${key} />
      <${Sure} confidence=${confidence} />
      ${openKey && html`<${Fact} name="Open Key" value=${openKey} />`}
      ${typeof tuningHz === 'number' && html`<${Fact} name="A4 at" value=${`${tuningHz.toFixed(0)} Hz`} />`}
    </dl>
    ${
      isGuess
        ? html`<p class="quiet">Too uncertain to say what mixes with it.</p>`
        : html`<a href=${listHref(mixes)}>What mixes with it</a>`
    }
    </div>
  </section>`
}

/** @param {Loudness} props */
function LoudnessCard({ integrated, range, truePeak, reason }) {
  return html`<section class="card" aria-labelledby="loudness-title">
    <h2 id="loudness-title">Loudness</h2>
    <p class="big">${integrated === null ? 'none' : level(integrated)}<small>${integrated === null ? reason : 'LUFS'}</small></p>
    ${
      integrated !== null &&
      html`<meter min="-36" max="0" value=${Math.max(-36, integrated)} aria-label="Loudness"></meter>`
    }
    <dl>
      ${typeof range === 'number' && html`<${Fact} name="range" value=${`${range.toFixed(1)} LU`} />`}
      ${typeof truePeak === 'number' && html`<${Fact} name="true peak" value=${`${level(truePeak)} dBTP`} />`}
    </dl>
  </section>`
}

/** @param {{ confidence: number | undefined }} props */
function Sure({ confidence }) {
  if (confidence === undefined) return null
  const value = `${sureness(confidence)}, ${Math.round(confidence * 100)} %`
  return html`<${Fact} name="how sure" value=${value} />`
}

/** @param {{ name: string, value: string }} props */
function Fact({ name, value }) {
  return html`<div><dt>${name}</dt><dd>${value}</dd></div>`
}
