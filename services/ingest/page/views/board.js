import { html } from '../lib/vendor.js'
import { useWatched } from '../lib/watchable.js'
import { counted, duration, rate } from '../lib/words.js'

/** @import { Live } from '../lib/live.js' */
/** @import { Board as Shown, BoardMinute, BoardStep } from '../lib/types.d.ts' */

/**
 * The current state of the chain.
 * @param {{ live: Live }} props
 */
export function Board({ live }) {
  const board = useWatched(live.board)
  const isConnected = useWatched(live.isConnected)
  return html`<section class="board" aria-labelledby="board-title">
    <div class="head">
      <h2 id="board-title">The chain</h2>
      <span class=${`live ${isConnected ? 'is-on' : ''}`}>${isConnected ? 'live' : 'connecting …'}</span>
    </div>
    ${board === undefined ? html`<div class="board-empty"></div>` : html`<${Figures} board=${board} />`}
    <ol class="steps">
      ${board?.steps.map((step) => html`<${Step} key=${step.step} ...${step} />`)}
    </ol>
  </section>`
}

/** @param {{ board: Shown }} props */
function Figures({ board }) {
  const { completions_per_minute: made, failures_last_hour: failures } = board
  const { dead_letters_open: letters, tracks, minutes } = board
  return html`<div class="figures">
    <dl>
      <${Figure} name="assets a minute" value=${rate(made)} />
      <${Figure} name="tracks under way" value=${counted(tracks.running + tracks.waiting)} />
      <${Figure} name="failures in the last hour" value=${counted(failures)} kind=${failures > 0 ? 'is-bad' : ''} />
      <${Figure} name="open dead letters" value=${counted(letters)} kind=${letters > 0 ? 'is-bad' : ''} href="#/dead-letters" />
    </dl>
    <${Hour} minutes=${minutes} />
  </div>`
}

/** @param {{ name: string, value: string, kind?: string, href?: string }} props */
function Figure({ name, value, kind = '', href }) {
  return html`<div class=${kind}>
    <dt>${href === undefined ? name : html`<a href=${href}>${name}</a>`}</dt>
    <dd>${value}</dd>
  </div>`
}

/**
 * The last hour, one bar per minute: assets made and, in another colour, assets failed.
 * @param {{ minutes: readonly BoardMinute[] }} props
 */
function Hour({ minutes }) {
  const most = Math.max(1, ...minutes.map(({ made, failed }) => made + failed))
  const sum = (/** @type {'made' | 'failed'} */ of) =>
    counted(minutes.reduce((total, minute) => total + minute[of], 0))
  const said = `The last hour: ${sum('made')} assets made, ${sum('failed')} failed.`
  const bar = (/** @type {number} */ n) => (n === 0 ? 0 : Math.max(1.5, (n / most) * 46))
  return html`<figure class="hour">
    <svg viewBox="0 0 ${minutes.length * 5} 48" preserveAspectRatio="none" role="img" aria-label=${said}>
      ${minutes.map(({ at, made, failed }, i) => {
        const [up, above] = [bar(made), bar(failed)]
        return html`<g key=${at}>
          <rect class="floor" x=${i * 5} y="47" width="4" height="1" />
          <rect class="made" x=${i * 5} y=${48 - up} width="4" height=${up} />
          <rect class="failed" x=${i * 5} y=${48 - up - above} width="4" height=${above} />
        </g>`
      })}
    </svg>
    <figcaption aria-hidden="true"><span>60 min ago</span><span>at most ${counted(most)} a minute</span><span>now</span></figcaption>
  </figure>`
}

/** @param {BoardStep} props */
function Step({
  step,
  does,
  waiting,
  done_per_minute: done,
  failed_per_minute: failed,
  p50_ms,
  p99_ms,
}) {
  return html`<li class=${done > 0 ? 'is-busy' : ''}>
    <h3>${step}</h3>
    <p class="quiet">${does}</p>
    <dl>
      <div class=${waiting ? 'is-much' : ''}><dt>waiting</dt><dd>${counted(waiting)}</dd></div>
      <div><dt>done / min</dt><dd>${rate(done)}</dd></div>
      <div class=${failed > 0 ? 'is-bad' : ''}><dt>failed / min</dt><dd>${rate(failed)}</dd></div>
      <div><dt>takes</dt><dd title="half of them less, and 99 of 100">${duration(p50_ms)}<small> / ${duration(p99_ms)}</small></dd></div>
    </dl>
  </li>`
}
