import { listHref } from '../lib/route.js'
import { html, useEffect, useState } from '../lib/vendor.js'
import { counted } from '../lib/words.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Stale, StaleAsset } from '../lib/types.d.ts' */

/** How long the counts are shown before they are read again, ms. */
const READ_AGAIN_MS = 30_000

/**
 * Which assets the tracks have in which version.
 * @param {{ api: Api }} props
 */
export function Versions({ api }) {
  const [assets, setAssets] = useState(/** @type {readonly StaleAsset[]} */ ([]))
  useEffect(() => {
    const read = () => {
      if (document.hidden) return
      api.get('/v1/stale').then(
        (found) => setAssets(/** @type {Stale} */ (found).assets),
        () => {},
      )
    }
    read()
    const timer = setInterval(read, READ_AGAIN_MS)
    return () => clearInterval(timer)
  }, [])
  // An asset that no track has is one that nobody asks for.
  const known = assets.filter(({ current, stale, failed }) => current + stale + failed > 0)
  if (known.length === 0) return null
  return html`<details class="versions">
    <summary><h2>Versions</h2> <span class="quiet">${summary(known)}</span></summary>
    <div class="scroll" tabindex="0" role="region" aria-label="Versions of assets">
      <table>
        <thead><tr><th scope="col">Asset</th><th scope="col" class="n">Current</th><th scope="col" class="n">Stale</th><th scope="col" class="n">Missing</th><th scope="col" class="n">Failed</th></tr></thead>
        <tbody>${known.map((asset) => html`<${Row} key=${asset.asset} ...${asset} />`)}</tbody>
      </table>
    </div>
  </details>`
}

/** @param {StaleAsset} props */
function Row({ asset, version, current, stale, older, missing, failed }) {
  const versions = older.map((each) => `version ${each.version}: ${counted(each.tracks)}`)
  return html`<tr>
    <th scope="row">${asset}<small class="quiet"> version ${version}</small></th>
    <td class="n">${counted(current)}</td>
    <td class="n" title=${versions.join(', ')}><${Found} count=${stale} href=${listHref({ stale: asset })} /></td>
    <td class="n"><${Found} count=${missing} href=${listHref({ lacks: asset })} /></td>
    <td class="n">${counted(failed)}</td>
  </tr>`
}

/** @param {{ count: number, href: string }} props */
function Found({ count, href }) {
  return count === 0 ? html`0` : html`<a href=${href}>${counted(count)}</a>`
}

/** @param {readonly StaleAsset[]} assets */
function summary(assets) {
  const stale = assets.filter((asset) => asset.stale > 0)
  if (stale.length === 0) return 'all current'
  return `stale: ${stale.map((each) => `${each.asset} ${counted(each.stale)}`).join(', ')}`
}
