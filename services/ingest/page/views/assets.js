import { saidOf } from '../lib/api.js'
import { html, useState } from '../lib/vendor.js'
import { size } from '../lib/words.js'
import { PLAYABLE } from './player.js'
import { Shown } from './shown.js'

/** @import { Api } from '../lib/api.js' */
/** @import { AssetLink, FailedTrackAsset, MadeTrackAsset, TrackDetail } from '../lib/types.d.ts' */

/** Extensions of files into which the server can put tags. */
const TAGGED = ['m4a', 'mp3', 'flac']
/** Assets that other parts of the page show. */
const SHOWN_ELSEWHERE = ['bpm', 'key', 'loudness', 'waveform', ...PLAYABLE]

/**
 * The assets of a track for download, and the assets that could not be made, with the reason.
 * @param {{ api: Api, track: TrackDetail }} props
 */
export function Assets({ api, track }) {
  return html`<section class="assets" aria-labelledby="assets-title">
    <h2 id="assets-title">Assets</h2>
    <ul>${track.assets.map(
      (asset) => html`<li key=${asset.asset} class=${`is-${asset.state}`}>
        <div class="what"><b>${asset.asset}</b><small class="quiet">${asset.title}</small></div>
        ${asset.state === 'made' ? html`<${Files} ...${{ api, track, asset }} />` : html`<${Why} ...${asset} />`}
        ${asset.state === 'made' && !SHOWN_ELSEWHERE.includes(asset.asset) && html`<${Shown} ...${{ api, asset }} />`}
      </li>`,
    )}</ul>
  </section>`
}

/** @param {FailedTrackAsset} props */
function Why({ code, sentence, remedy }) {
  return html`<p class="fault"><code>${code}</code> ${sentence} <span>${remedy}</span></p>`
}

/** @param {{ api: Api, track: TrackDetail, asset: MadeTrackAsset }} props */
function Files({ api, track, asset }) {
  return html`<p class="files">${asset.files.map((file) => {
    const { extension, bytes, href } = file
    const name = `${track.asset_guid}.${asset.asset}.${extension}`
    const path = TAGGED.includes(extension) ? `${href}?tags=1` : href
    return html`<${Download} key=${extension} ...${{ api, path, name }}>
      <span class="unseen">Download ${asset.asset}</span> .${extension} <small>${size(bytes)}</small>
    <//><${CopyLink} key=${`${extension} link`} ...${{ api, href, what: `${asset.asset}.${extension}` }} />`
  })}</p>`
}

/** @param {{ api: Api, path: string, name: string, children?: unknown }} props */
function Download({ api, path, name, children }) {
  const [fault, setFault] = useState('')
  /** @param {MouseEvent} event */
  async function onClick(event) {
    // A link sends no token.
    if (!api.hasToken()) return
    event.preventDefault()
    try {
      const link = document.createElement('a')
      link.href = await api.addressOf(path)
      link.download = name
      link.click()
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
    } catch (error) {
      setFault(saidOf(error))
    }
  }
  return html`<a class="file" href=${path} download=${name} onClick=${onClick}>${children}</a>
    ${fault !== '' && html`<span class="fault" role="alert">${fault}</span>`}`
}

/**
 * Makes an address that needs no token, and copies it. Where a browser does not let it, the address is shown.
 * @param {{ api: Api, href: string, what: string }} props
 */
function CopyLink({ api, href, what }) {
  const [link, setLink] = useState(
    /** @type {{ url: string, isCopied: boolean } | undefined} */ (undefined),
  )
  const [fault, setFault] = useState('')
  async function onClick() {
    setFault('')
    try {
      const made = /** @type {AssetLink} */ (await api.get(`${href}/link`))
      const url = new URL(made.url, location.href).href
      const copying = navigator.clipboard?.writeText(url) ?? Promise.reject()
      const isCopied = await copying.then(
        () => true,
        () => false,
      )
      setLink({ url, isCopied })
    } catch (error) {
      setFault(saidOf(error))
    }
  }
  return html`<button class="slight link" onClick=${onClick}>
      Copy link<span class="unseen"> to ${what}</span>
    </button>
    ${
      link !== undefined &&
      html`<small class="quiet" role="status">${
        link.isCopied ? 'Copied' : html`<a href=${link.url}>This link</a>`
      }: valid for an hour, for anybody who has it.</small>`
    }
    ${fault !== '' && html`<span class="fault" role="alert">${fault}</span>`}`
}
