import { saidOf } from '../lib/api.js'
import { html, useEffect, useState } from '../lib/vendor.js'

/** @import { Api } from '../lib/api.js' */
/** @import { MadeTrackAsset } from '../lib/types.d.ts' */

/** Maximum size of a JSON file that is shown, bytes. */
const MAX_JSON_BYTES = 64 * 1024

/**
 * An asset that has no view of its own, shown by the content types of its files: images, audio and JSON. Of other files
 * there is only the link.
 * @param {{ api: Api, asset: MadeTrackAsset }} props
 */
export function Shown({ api, asset }) {
  return asset.files.map(({ extension, type = '', bytes, href }, index) => {
    const common = { key: extension, api, path: href, title: `${asset.asset}.${extension}` }
    if (type.startsWith('image/')) return html`<${Picture} ...${common} />`
    if (type.startsWith('audio/')) return html`<${Sound} ...${common} />`
    if (!/^application\/(?:[\w.-]+\+)?json\b/.test(type) || bytes > MAX_JSON_BYTES) return null
    // The first file of an asset with a result is that result.
    const known = index === 0 ? asset.result : undefined
    return html`<${Document} ...${{ ...common, known }} />`
  })
}

/** @param {{ api: Api, path: string, title: string }} props */
function Picture({ api, path, title }) {
  const { address, fault, load } = useAddress(api, path)
  useEffect(() => void load(), [path])
  if (fault !== '') return html`<p class="fault" role="alert">${fault}</p>`
  return address === undefined ? null : html`<img class="shown" src=${address} alt=${title} />`
}

/** @param {{ api: Api, path: string, title: string }} props */
function Sound({ api, path, title }) {
  const { address, fault, load } = useAddress(api, path)
  useEffect(() => {
    // If a token is required, the whole file is fetched, so only when the user asks for it.
    if (!api.hasToken()) load()
  }, [path])
  if (fault !== '') return html`<p class="fault" role="alert">${fault}</p>`
  if (address === undefined)
    return html`<button class="slight shown" onClick=${load}>Listen to ${title}</button>`
  return html`<audio class="shown" controls preload="none" src=${address} aria-label=${title}></audio>`
}

/** @param {{ api: Api, path: string, title: string, known: unknown }} props */
function Document({ api, path, title, known }) {
  const [document, setDocument] = useState(known)
  const [fault, setFault] = useState('')
  useEffect(() => {
    if (known === undefined) {
      api.get(path).then(setDocument, (error) => setFault(saidOf(error)))
    } else setDocument(known)
  }, [path, known])
  if (fault !== '') return html`<p class="fault" role="alert">${fault}</p>`
  return html`<pre class="shown" aria-label=${title} tabindex="0">${JSON.stringify(document, null, 2)}</pre>`
}

/**
 * The address of a file; undefined until it has been loaded.
 * @param {Api} api
 * @param {string} path
 */
function useAddress(api, path) {
  const [address, setAddress] = useState(/** @type {string | undefined} */ (undefined))
  const [fault, setFault] = useState('')
  useEffect(() => {
    if (address === undefined || !address.startsWith('blob:')) return
    return () => URL.revokeObjectURL(address)
  }, [address])
  const load = () => api.addressOf(path).then(setAddress, (error) => setFault(saidOf(error)))
  return { address, fault, load }
}
