import { KEYS } from '../lib/camelot.js'
import { listHref } from '../lib/route.js'
import { html, useEffect, useRef } from '../lib/vendor.js'

/** Delay after the last keystroke before the list is loaded, ms. */
const TYPING_MS = 250

/** The pattern of the id of an asset. Browsers read patterns with the flag `v`, which wants the hyphen escaped. */
const ASSET = '[a-z0-9][a-z0-9\\-]*'

/** The filters of the list, in the order of the form. */
const NAMES = [
  'q',
  'bpm_from',
  'bpm_to',
  'key',
  'harmonic',
  'confidence_from',
  'state',
  'stale',
  'lacks',
  'warning',
]

/**
 * The filters of the list. They are part of the address, so that a list can be bookmarked, sent and gone back
 * to.
 * @param {{ query: URLSearchParams }} props
 */
export function Filters({ query }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null))
  const typing = useRef(0)
  // The address may change in other ways: back, or a link to the tracks that mix with one.
  useEffect(() => {
    if (form.current === null) return
    for (const name of NAMES) put(form.current, name, query.get(name) ?? '')
  }, [query.toString()])

  const apply = () => {
    if (form.current === null || !form.current.checkValidity()) return
    const given = new FormData(form.current)
    const filters = NAMES.map((name) => [name, String(given.get(name) ?? '').trim()])
    // Without a key, `harmonic` has no meaning.
    const { harmonic = '', ...rest } = Object.fromEntries(filters)
    location.replace(listHref({ ...rest, ...(rest.key === '' ? {} : { harmonic }) }))
  }
  const onInput = () => {
    clearTimeout(typing.current)
    typing.current = setTimeout(apply, TYPING_MS)
  }

  return html`<form class="filters" ref=${form} role="search" aria-label="Tracks"
    onInput=${onInput} onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault()
      apply()
    }}>
    <label class="wide">Title, artist or guid
      <input name="q" type="search" maxlength="200" autocomplete="off" placeholder="Any" />
    </label>
    <fieldset>
      <legend>BPM</legend>
      <input name="bpm_from" type="number" min="1" max="999" step="any" placeholder="from" aria-label="BPM from" />
      <span aria-hidden="true">–</span>
      <input name="bpm_to" type="number" min="1" max="999" step="any" placeholder="to" aria-label="BPM to" />
    </fieldset>
    <label>Key
      <select name="key">
        <option value="">Any</option>
        ${KEYS.map(({ camelot, key }) => html`<option value=${camelot}>${camelot} · ${key}</option>`)}
      </select>
    </label>
    <label class="check"><input name="harmonic" type="checkbox" value="1" /> and what mixes with it</label>
    <label>How sure
      <select name="confidence_from" title="Of tempo and key, whichever is searched for. Default: any; likely for what mixes.">
        <option value="">Usual</option>
        <option value="0">Any</option>
        <option value="0.5">Likely</option>
        <option value="0.8">Sure</option>
      </select>
    </label>
    <label>State
      <select name="state">
        <option value="">Any</option>
        <option value="running">running</option>
        <option value="done">done</option>
        <option value="partial">partly</option>
        <option value="failed">failed</option>
        <option value="cancelled">cancelled</option>
      </select>
    </label>
    <label>Warnings
      <select name="warning" title="What is missing or wrong in a master that was accepted.">
        <option value="">With or without</option>
        <option value="any">With</option>
        <option value="none">Without</option>
      </select>
    </label>
    <label>Stale
      <input name="stale" size="8" maxlength="64" pattern=${ASSET} autocomplete="off" placeholder="asset" title="Has it in an older version alone, e.g. bpm." />
    </label>
    <label>Lacks
      <input name="lacks" size="8" maxlength="64" pattern=${ASSET} autocomplete="off" placeholder="asset" title="Does not have it, e.g. flac." />
    </label>
    ${query.size > 0 && html`<a class="clear" href="#/">Clear</a>`}
  </form>`
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 * @param {string} value
 */
function put(form, name, value) {
  const field = form.elements.namedItem(name)
  if (field instanceof HTMLInputElement && field.type === 'checkbox')
    field.checked = value !== ''
  else if (field instanceof HTMLInputElement || field instanceof HTMLSelectElement) {
    if (field !== document.activeElement) field.value = value
  }
}
