import { ACCEPTED, filesOf } from '../lib/files.js'
import { trackHref } from '../lib/route.js'
import { hasEnded } from '../lib/uploads.js'
import { html, useEffect, useRef, useState } from '../lib/vendor.js'
import { useWatched } from '../lib/watchable.js'
import { counted, size, tempo } from '../lib/words.js'
import { KeyChip, Sure } from './tracks.js'

/** @import { Sent, Uploads } from '../lib/uploads.js' */
/** @import { Key, Tempo } from '../lib/types.d.ts' */

/**
 * The area in which audio files are dropped or chosen, with their progress. Files may be dropped anywhere on
 * the page.
 * @param {{ uploads: Uploads }} props
 */
export function Drop({ uploads }) {
  const files = useRef(/** @type {HTMLInputElement | null} */ (null))
  const folder = useRef(/** @type {HTMLInputElement | null} */ (null))
  const [isOver, setOver] = useState(false)
  const [note, setNote] = useState('')

  /** @param {readonly File[]} given */
  const take = (given) => {
    const { passedOver, left } = uploads.add(given)
    const words = [
      ...(passedOver > 0 ? [`${counted(passedOver)} that are not audio`] : []),
      ...(left > 0 ? [`${counted(left)} that macOS or Windows left there`] : []),
    ]
    setNote(words.length === 0 ? '' : `Skipped ${words.join(', and ')}.`)
  }
  useDropping(setOver, take)
  const onChange = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target)
    take([...(input.files ?? [])])
    input.value = ''
  }

  return html`<section class=${`drop ${isOver ? 'is-over' : ''}`} aria-labelledby="drop-title">
    <svg viewBox="0 0 48 32" aria-hidden="true"><path d="M2 16h2M9 10v12M15 4v24M21 12v8M27 2v28M33 9v14M39 13v6M45 16h1" /></svg>
    <div>
      <h2 id="drop-title">Drop audio here</h2>
      <p class="quiet">WAV, AIFF, FLAC or MP3; files or whole folders.</p>
    </div>
    <div class="buttons">
      <button class="main" onClick=${() => files.current?.click()}>Choose files</button>
      <button onClick=${() => folder.current?.click()}>Choose a folder</button>
    </div>
    <input ref=${files} type="file" multiple hidden accept=${ACCEPTED} onChange=${onChange} aria-label="Audio files" />
    <input ref=${folder} type="file" webkitdirectory hidden onChange=${onChange} aria-label="A folder of audio files" />
    ${note !== '' && html`<p class="note" role="status">${note}</p>`}
  </section>`
}

/**
 * @param {(isOver: boolean) => void} setOver
 * @param {(files: readonly File[]) => void} take
 */
function useDropping(setOver, take) {
  useEffect(() => {
    const stop = new AbortController()
    const { signal } = stop
    const hasFiles = (/** @type {DragEvent} */ { dataTransfer }) =>
      dataTransfer?.types.includes('Files') ?? false
    addEventListener(
      'dragover',
      (event) => {
        if (!hasFiles(event)) return
        event.preventDefault()
        setOver(true)
      },
      { signal },
    )
    addEventListener(
      'dragleave',
      ({ relatedTarget }) => {
        if (relatedTarget === null) setOver(false)
      },
      { signal },
    )
    addEventListener(
      'drop',
      (event) => {
        if (!hasFiles(event) || event.dataTransfer === null) return
        event.preventDefault()
        setOver(false)
        filesOf(event.dataTransfer).then(take)
      },
      { signal },
    )
    return () => stop.abort()
  }, [])
}

/**
 * The files that were added, with their progress.
 * @param {{ uploads: Uploads }} props
 */
export function Sendings({ uploads }) {
  const all = useWatched(uploads.all)
  if (all.length === 0) return null
  const ended = all.filter(hasEnded)
  const faulty = ended.filter(({ phase }) => phase !== 'done')
  const open = all.length - ended.length
  const said = [
    `${counted(ended.length)} of ${counted(all.length)} finished`,
    ...(faulty.length > 0 ? [`${counted(faulty.length)} not as hoped`] : []),
  ].join(', ')
  return html`<section class="sendings" aria-labelledby="sendings-title">
    <div class="head">
      <h2 id="sendings-title">Your files</h2>
      <span class="quiet" role="status">${said}</span>
      ${ended.length > 0 && html`<button class="slight" onClick=${uploads.clear}>Clear finished</button>`}
    </div>
    ${open > 0 && html`<progress max=${all.length} value=${ended.length} aria-label="All files"></progress>`}
    <ol class=${all.length > 8 ? 'is-long' : ''} ...${all.length > 8 ? { tabindex: 0, 'aria-label': 'Your files' } : {}}>
      ${all.map((sent) => html`<${Sending} key=${sent.id} sent=${sent} uploads=${uploads} />`)}
    </ol>
  </section>`
}

const PHASES = /** @type {const} */ ({
  waiting: 'waiting',
  sending: 'sending',
  queued: 'waits for its turn',
  accepted: 'in the chain',
  running: 'in the chain',
  done: 'done',
  partial: 'partly done',
  failed: 'failed',
  cancelled: 'cancelled',
  refused: 'refused',
})

/** @param {{ sent: Sent, uploads: Uploads }} props */
function Sending({ sent, uploads }) {
  const { id, file, phase, percent, guid, note, fault, remedy } = sent
  const isOpen = !hasEnded(sent)
  const name = html`<b>${file.name}</b>`
  return html`<li class=${`is-${phase}`}>
    <div class="row">
      ${guid === undefined ? name : html`<a href=${trackHref(guid)}>${name}</a>`}
      <small class="quiet">${size(file.size)}</small>
      <${Findings} sent=${sent} />
      <span class="chip is-${phase}">${PHASES[phase]}${isOpen && phase !== 'waiting' && ` ${percent} %`}</span>
      ${
        (phase === 'waiting' || phase === 'sending') &&
        html`<button class="slight" onClick=${() => uploads.stop(id)} aria-label=${`Stop ${file.name}`}>Stop</button>`
      }
      ${phase === 'refused' && html`<button onClick=${() => uploads.again(id)}>Try again</button>`}
    </div>
    ${
      isOpen &&
      html`<progress max="100" value=${percent} class=${phase === 'sending' ? 'is-sending' : ''} aria-label=${`${file.name}, ${PHASES[phase]}`}></progress>`
    }
    ${note && html`<p class="quiet">${note}</p>`}
    ${fault && html`<p class="fault">${fault} <span>${remedy}</span></p>`}
  </li>`
}

/**
 * The findings about a track so far, shown beside its progress.
 * @param {{ sent: Sent }} props
 */
function Findings({ sent }) {
  const made = sent.job?.jobs[0]?.assets.filter((asset) => asset.state === 'made') ?? []
  const result = (/** @type {string} */ id) => made.find(({ asset }) => asset === id)?.result
  const found = /** @type {Tempo | undefined} */ (result('bpm'))
  const bpm = found?.bpm
  const key = /** @type {Key | undefined} */ (result('key'))
  return html`<span class="findings">
    ${typeof bpm === 'number' && html`<span><${Sure} confidence=${found?.confidence}>${tempo(bpm, found?.bpmError)} BPM<//></span>`}
    ${key?.camelot && html`<${Sure} confidence=${key.confidence}><${KeyChip} camelot=${key.camelot} name=${key.key} /><//>`}
  </span>`
}
