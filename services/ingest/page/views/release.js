import { usePolled } from '../lib/polled.js'
import { trackHref } from '../lib/route.js'
import { html, useState } from '../lib/vendor.js'
import { counted, moment, nameOf } from '../lib/words.js'
import { Cancel } from './cancel.js'
import { Counts } from './releases.js'
import { StateChip } from './tracks.js'

/** @import { Api } from '../lib/api.js' */
/** @import { ReleaseDetail } from '../lib/types.d.ts' */

/**
 * The page of a release.
 * @param {{ api: Api, release: string }} props
 */
export function Release({ api, release }) {
  const first = `/v1/releases/${release}?limit=100`
  const [path, setPath] = useState(first)
  const { fault, load, ...polled } = usePolled(api, path)
  const seen = /** @type {ReleaseDetail | undefined} */ (polled.seen)
  return html`<article class="track">
    <a class="back" href="#/releases">← All releases</a>
    <header>
      <h1 tabindex="-1">Release ${release}</h1>
      ${seen && html`<p class="facts quiet"><${StateChip} state=${seen.state} /><span>since ${moment(seen.first_seen)}</span><span>changed ${moment(seen.changed)}</span></p>`}
    </header>
    ${fault !== '' && html`<p class="fault" role="alert">${fault}</p>`}
    ${seen === undefined && fault === '' && html`<p class="quiet">Loading …</p>`}
    ${
      seen &&
      html`<section class="card letter" aria-label="Its tracks">
        <${Counts} release=${seen} />
        ${
          seen.counts.running > 0 &&
          html`<div class="buttons"><${Cancel} ...${{ api, onDone: load }} path=${`/v1/releases/${release}/cancel`} title=${`Cancel release ${release}?`} action="Cancel the release" back="Let it run" follows=${`Jobs over ${counted(seen.counts.running)} of its tracks are open. Posted again, they go on.`} /></div>`
        }
        <ol class="of-release">${seen.tracks.map(
          (track) => html`<li key=${track.asset_guid}>
          <a href=${trackHref(track.asset_guid)}>${nameOf(track)}</a>
          <span class="quiet">${track.artist ?? ''}</span>
          <${StateChip} state=${track.state} />
        </li>`,
        )}</ol>
        <div class="buttons">
          ${path !== first && html`<button onClick=${() => setPath(first)}>The first tracks</button>`}
          ${seen.next && html`<button onClick=${() => setPath(String(seen.next))}>Further tracks</button>`}
        </div>
      </section>`
    }
  </article>`
}
