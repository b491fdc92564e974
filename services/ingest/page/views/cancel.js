import { whyNot } from '../lib/api.js'
import { html, useRef, useState } from '../lib/vendor.js'
import { Dialog } from './dialog.js'

/** @import { Api } from '../lib/api.js' */

/**
 * A button that cancels, after asking.
 * @param {{
 *   api: Api, path: string, body?: object, title: string, action: string, back: string, follows: string,
 *   onDone: () => void,
 * }} props `path`: the address that it posts to; `follows`: what comes of it
 */
export function Cancel({ api, path, body = {}, title, action, back, follows, onDone }) {
  const [isAsking, setAsking] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const [said, setSaid] = useState('')
  const reason = useRef(/** @type {HTMLTextAreaElement | null} */ (null))

  async function cancel() {
    const why = reason.current?.value.trim() ?? ''
    setAsking(false)
    setBusy(true)
    setSaid('')
    try {
      await api.post(path, { ...body, ...(why === '' ? {} : { reason: why }) })
      onDone()
    } catch (error) {
      setSaid(whyNot(error))
    }
    setBusy(false)
  }

  return html`<button class="slight" disabled=${isBusy} onClick=${() => setAsking(true)}>Cancel …</button>
    <span role="status">${said}</span>
    ${
      isAsking &&
      html`<${Dialog} ...${{ title, action, back }} onDone=${cancel} onClose=${() => setAsking(false)}>
        <p>What is under way is stopped. What was made stays. ${follows}</p>
        <label>Why (may be left out)
          <textarea ref=${reason} maxlength="1000" rows="3"></textarea>
        </label>
      <//>`
    }`
}
