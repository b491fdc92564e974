import { whyNot } from '../lib/api.js'
import { ACCEPTED } from '../lib/files.js'
import { trackHref } from '../lib/route.js'
import { html, useEffect, useRef, useState } from '../lib/vendor.js'
import { ago, moment } from '../lib/words.js'
import { Dialog } from './dialog.js'

/** @import { Api } from '../lib/api.js' */
/** @import { DeadLetter as Kept } from '../lib/types.d.ts' */
/** @import { Uploads } from '../lib/uploads.js' */

/** The errors that another master resolves. */
const MENDED_BY_MASTER = [
  'MASTER_NOT_FOUND',
  'MASTER_UNREADABLE',
  'TOO_LONG_TO_STAGE',
  'OVER_LIMITS',
]

/** @typedef {{ status: string, run?: number, detail?: string }} Result */

/**
 * A dead letter, with the actions that are possible on it.
 * @param {{ api: Api, uploads: Uploads, letter: Kept, isOnTrack?: boolean }} props
 */
export function Letter({ api, uploads, letter: given, isOnTrack = false }) {
  const [letter, setLetter] = useState(given)
  const [said, setSaid] = useState('')
  const [isBusy, setBusy] = useState(false)
  const [isDiscarding, setDiscarding] = useState(false)
  const mended = useRef(/** @type {HTMLInputElement | null} */ (null))
  const reason = useRef(/** @type {HTMLTextAreaElement | null} */ (null))
  useEffect(() => setLetter(given), [given])
  const { id, asset_guid: guid, derivative_assets: assets = [] } = letter

  /** @param {() => Promise<string>} act */
  async function doing(act) {
    setBusy(true)
    setSaid('')
    try {
      setSaid(await act())
      setLetter(await api.get(`/v1/dead-letters/${id}`))
    } catch (error) {
      setSaid(whyNot(error))
    }
    setBusy(false)
  }
  const redrive = () =>
    doing(async () => {
      const { results } = /** @type {{ results: readonly Result[] }} */ (
        await api.post('/v1/dead-letters/redrive', { ids: [id] })
      )
      const [result] = results
      if (result?.status === 'redriven') return `Redriven as run ${result.run}.`
      return result?.detail ?? 'It was not redriven.'
    })
  const discard = () => {
    const why = reason.current?.value.trim() ?? ''
    setDiscarding(false)
    doing(async () => {
      await api.post(`/v1/dead-letters/${id}/discard`, { reason: why })
      return 'Discarded.'
    })
  }

  const mend = (/** @type {Event} */ event) => {
    const [file] = /** @type {HTMLInputElement} */ (event.target).files ?? []
    if (file === undefined || guid === undefined) return
    uploads.mend(file, { guid, letter: id, assets })
    setSaid('Sent. It replaces this letter.')
  }

  return html`<article class=${`letter is-${letter.state}`} aria-label=${`${letter.code}${guid ? `, ${guid}` : ''}`}>
    <header>
      ${
        !isOnTrack &&
        html`<h2>${guid === undefined ? 'No track' : html`<a href=${trackHref(guid)}>${guid}</a>`}</h2>`
      }
      <code>${letter.code}</code>
      <span class="quiet">in ${letter.step}${letter.attempt > 1 && `, attempt ${letter.attempt}`}, <time datetime=${letter.dead_lettered} title=${moment(letter.dead_lettered)}>${ago(letter.dead_lettered)}</time></span>
    </header>
    <p class="reason">${letter.reason}</p>
    ${letter.state === 'open' && letter.remedy && html`<p class="remedy"><b>What to do</b> ${letter.remedy}</p>`}
    ${assets.length > 0 && html`<p class="quiet">Not made: ${assets.join(', ')}</p>`}
    ${
      letter.settled !== null &&
      html`<p class="quiet">${letter.state} by ${letter.settled.by}, ${ago(letter.settled.at)}${letter.settled.run !== undefined && `, as run ${letter.settled.run}`}${letter.settled.reason && `: ${letter.settled.reason}`}</p>`
    }
    <div class="buttons">
      ${
        letter.state === 'open' &&
        html`
        ${letter.redrivable && html`<button class="main" disabled=${isBusy} onClick=${redrive}>Redrive</button>`}
        ${
          MENDED_BY_MASTER.includes(letter.code) &&
          guid !== undefined &&
          html`<button disabled=${isBusy} onClick=${() => mended.current?.click()}>Send a repaired file</button>
          <input ref=${mended} type="file" hidden accept=${ACCEPTED} onChange=${mend} aria-label=${`A repaired master for ${guid}`} />`
        }
        <button disabled=${isBusy} onClick=${() => setDiscarding(true)}>Discard …</button>`
      }
      <span role="status">${said}</span>
    </div>
    ${
      isDiscarding &&
      html`<${Dialog} title="Discard this letter?" action="Discard" onDone=${discard} onClose=${() => setDiscarding(false)}>
        <p>It is not run again. It is kept, with the reason.</p>
        <label>Why
          <textarea ref=${reason} required maxlength="1000" rows="3"></textarea>
        </label>
      <//>`
    }
  </article>`
}
