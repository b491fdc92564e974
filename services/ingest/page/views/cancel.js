import { whyNot } from '../lib/api.js'
import { html, useRef, useState } from '../lib/vendor.js'
import { Dialog } from './dialog.js'

/** @import { Api } from '../lib/api.js' */

/**
 * A button that cancels the job of a track, after asking.
 * @param {{ api: Api, request: string, guid: string, onDone: () => void }} props
 */
export function Cancel({ api, request, guid, onDone }) {
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
      await api.post(`/v1/jobs/${encodeURIComponent(request)}/cancel`, {
        asset_guid: guid,
        ...(why === '' ? {} : { reason: why }),
      })
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
      html`<${Dialog} title="Cancel this job?" action="Cancel the job" back="Let it run" onDone=${cancel} onClose=${() => setAsking(false)}>
        <p>What is under way is stopped. What was made stays. Posted again, the job goes on.</p>
        <label>Why (may be left out)
          <textarea ref=${reason} maxlength="1000" rows="3"></textarea>
        </label>
      <//>`
    }`
}
