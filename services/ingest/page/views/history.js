import { saidOf } from '../lib/api.js'
import { html, useEffect, useState } from '../lib/vendor.js'
import { duration, moment } from '../lib/words.js'

/** @import { Api } from '../lib/api.js' */
/** @import { HistoryEvent, HistoryPage } from '../lib/types.d.ts' */

/**
 * The history of a track, run by run, the latest first: each step with its start, its duration and its result.
 * @param {{ api: Api, guid: string, changes: number }} props `changes` increases when there may be more events
 */
export function History({ api, guid, changes }) {
  const [page, setPage] = useState(
    /** @type {Omit<HistoryPage, 'asset_guid'> | undefined} */ (undefined),
  )
  const [fault, setFault] = useState('')
  /**
   * @param {string} path
   * @param {readonly HistoryEvent[]} before
   */
  const load = (path, before) =>
    api.get(path).then(
      (given) => {
        const { events, next } = /** @type {HistoryPage} */ (given)
        setPage({ events: [...before, ...events], next })
        setFault('')
      },
      (error) => setFault(saidOf(error)),
    )
  useEffect(() => {
    load(`/v1/tracks/${encodeURIComponent(guid)}/history?limit=100`, [])
  }, [guid, changes])
  if (page === undefined)
    return fault === '' ? null : html`<p class="fault" role="alert">${fault}</p>`

  const runs = Map.groupBy(page.events, ({ job = '', run = 0 }) => `${job}/${run}`)
  return html`<section class="history" aria-labelledby="history-title">
    <h2 id="history-title">History</h2>
    ${[...runs].map(([name, events]) => html`<${Run} key=${name} events=${events.toReversed()} />`)}
    ${page.next && html`<button onClick=${() => load(String(page.next), page.events)}>Show more</button>`}
  </section>`
}

/** @param {{ events: readonly HistoryEvent[] }} props the events, the oldest first */
function Run({ events }) {
  const starts = events.map(({ at }) => Date.parse(at))
  const start = Math.min(...starts)
  const end = Math.max(...events.map(({ ms }, i) => (starts[i] ?? 0) + ms), start + 1)
  const [first] = events
  return html`<div class="run">
    <h3>${first?.run === undefined ? 'Outside a run' : `Run ${first.run}`}<small class="quiet"> ${moment(new Date(start).toISOString())}, ${duration(end - start)}</small></h3>
    <ol>${events.map((event, i) => {
      const from = (((starts[i] ?? 0) - start) / (end - start)) * 100
      const share = Math.max(0.6, (event.ms / (end - start)) * 100)
      return html`<li key=${event.id} class=${`is-${event.verdict}`}>
        <details>
          <summary>
            <b>${event.step}</b>
            <span class="verdict">${event.verdict}</span>
            <span class="units">${unitsOf(event)}</span>
            <span class="lane" aria-hidden="true"><i style=${{ left: `${Math.min(99.4, from)}%`, width: `${share}%` }}></i></span>
            <span class="n">${duration(event.ms)}</span>
          </summary>
          <${Details} event=${event} />
        </details>
        ${event.sentence && html`<p class="sentence"><code>${event.code}</code> ${event.sentence}</p>`}
        ${event.warnings?.map(({ code, sentence }) => html`<p class="sentence is-warning"><code>${code}</code> ${sentence}</p>`)}
      </li>`
    })}</ol>
  </div>`
}

/**
 * The assets that a step made or was to make.
 * @param {HistoryEvent} event
 */
function unitsOf({ units }) {
  const assets = [...new Set(units.map((unit) => unit.replace(/[@ ].*$/, '')))]
  return assets.length === 0 ? '' : assets.join(', ')
}

/** @param {{ event: HistoryEvent }} props */
function Details({ event }) {
  const { at, attempt, worker, route, cpu_ms, units } = event
  const facts = [
    ['began', moment(at)],
    ['attempt', String(attempt)],
    ['worker', worker],
    ...(route === undefined ? [] : [['route', route]]),
    ...(cpu_ms === undefined ? [] : [['core time', duration(cpu_ms)]]),
    ...(units.length === 0 ? [] : [['units', units.join(', ')]]),
  ]
  return html`<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`
}
