import { usePolled } from '../lib/polled.js'
import { releaseHref } from '../lib/route.js'
import { html, useEffect, useState } from '../lib/vendor.js'
import { ago, counted } from '../lib/words.js'
import { StateChip } from './tracks.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Release, ReleasePage } from '../lib/types.d.ts' */

const STATES = /** @type {const} */ (['done', 'partial', 'failed', 'cancelled', 'running'])

/**
 * The releases that jobs have named, those that changed last first.
 * @param {{ api: Api, query: URLSearchParams }} props
 */
export function Releases({ api, query }) {
  const state = query.get('state') ?? 'all'
  const first = `/v1/releases?limit=50${state === 'all' ? '' : `&state=${state}`}`
  const [from, setFrom] = useState('')
  const path = from === '' ? first : from
  const { seen, of, fault } = usePolled(api, path)
  const page = of === path ? /** @type {ReleasePage | undefined} */ (seen) : undefined
  useEffect(() => setFrom(''), [first])
  return html`<section class="letters" aria-labelledby="releases-title">
    <div class="head">
      <h1 id="releases-title" tabindex="-1">Releases</h1>
      <nav class="tabs" aria-label="Which releases">
        ${['all', ...STATES.toReversed()].map((each) => html`<a href=${`#/releases?state=${each}`} aria-current=${each === state ? 'page' : undefined}>${each}</a>`)}
      </nav>
    </div>
    <p class="quiet">The tracks whose jobs name the same <code>release_id</code>. What has changed last comes first.</p>
    ${fault !== '' && html`<p class="fault" role="alert">${fault}</p>`}
    ${page === undefined && fault === '' && html`<p class="quiet">Loading …</p>`}
    ${page?.releases.length === 0 && html`<p class="none">No releases${page.next === null ? '' : ' among these'}.</p>`}
    <ol>${page?.releases.map((each) => html`<li key=${each.release_id}><${Line} release=${each} /></li>`)}</ol>
    <div class="buttons">
      ${from !== '' && html`<button onClick=${() => setFrom('')}>The latest</button>`}
      ${page?.next && html`<button onClick=${() => setFrom(String(page.next))}>Earlier ones</button>`}
    </div>
  </section>`
}

/** @param {{ release: Release }} props */
function Line({ release }) {
  const { release_id, state, changed } = release
  return html`<article class="card letter" aria-label=${`Release ${release_id}`}>
    <header>
      <h2><a href=${releaseHref(release_id)}>Release ${release_id}</a></h2>
      <${StateChip} state=${state} />
      <time class="quiet" datetime=${changed}>${ago(changed)}</time>
    </header>
    <${Counts} release=${release} />
  </article>`
}

/**
 * A bar of the states of its tracks, and what it says in words.
 * @param {{ release: Release }} props
 */
export function Counts({ release: { counts, more } }) {
  const there = STATES.filter((state) => counts[state] > 0)
  const all = there.reduce((sum, state) => sum + counts[state], 0)
  const said = there.map((state) => `${counted(counts[state])} ${state}`).join(', ')
  const tracks = `${counted(all)} ${all === 1 ? 'track' : 'tracks'}`
  let at = 0
  return html`<svg class="states" viewBox="0 0 ${all} 1" preserveAspectRatio="none" role="img" aria-label=${`${tracks}: ${said}`}>
      ${there.map((state) => {
        const x = at
        at += counts[state]
        return html`<rect key=${state} class=${`is-${state}`} x=${x} y="0" width=${counts[state]} height="1" />`
      })}
    </svg>
    <p>${tracks}: ${said}${more && ', of more than 10,000 jobs'}</p>`
}
