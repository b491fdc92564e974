import { saidOf } from '../lib/api.js'
import { html, useEffect, useState } from '../lib/vendor.js'
import { counted } from '../lib/words.js'
import { Dialog } from './dialog.js'
import { Letter } from './letter.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Live } from '../lib/live.js' */
/** @import { DeadLetter as Kept, DeadLetterPage } from '../lib/types.d.ts' */
/** @import { Uploads } from '../lib/uploads.js' */

const STATES = ['open', 'redriven', 'discarded', 'all']

/**
 * The dead letters: what failed, why, and the possible actions.
 * @param {{ api: Api, live: Live, uploads: Uploads, query: URLSearchParams }} props
 */
export function Letters({ api, live, uploads, query }) {
  const state = query.get('state') ?? 'open'
  const [page, setPage] = useState(/** @type {DeadLetterPage | undefined} */ (undefined))
  const [fault, setFault] = useState('')
  const [isAsking, setAsking] = useState(false)
  const [said, setSaid] = useState('')

  const load = (/** @type {string} */ path, /** @type {readonly Kept[]} */ before) =>
    api.get(path).then(
      (given) => {
        const { letters, next } = /** @type {DeadLetterPage} */ (given)
        setPage({ letters: [...before, ...letters], next })
        setFault('')
      },
      (error) => setFault(saidOf(error)),
    )
  const first = () => load(`/v1/dead-letters?state=${state}`, [])
  useEffect(() => {
    setPage(undefined)
    first()
  }, [state])
  // The number of open letters has changed: another operator has acted, or something failed.
  useEffect(() => {
    let open = live.board.value?.dead_letters_open
    return live.board.watch((board) => {
      if (open !== undefined && board?.dead_letters_open !== open && scrollY < 200) first()
      open = board?.dead_letters_open
    })
  }, [state])

  async function redriveAll() {
    setAsking(false)
    try {
      const body = { filter: {}, limit: 1000, rate: 100 }
      const answer = /** @type {{ redriven: number, left: number }} */ (
        await api.post('/v1/dead-letters/redrive', body)
      )
      const rest = answer.left > 0 ? ` ${counted(answer.left)} are left: once more.` : ''
      setSaid(`${counted(answer.redriven)} redriven.${rest}`)
    } catch (error) {
      setSaid(saidOf(error))
    }
    await first()
  }

  const letters = page?.letters ?? []
  return html`<section class="letters" aria-labelledby="letters-title">
    <div class="head">
      <h1 id="letters-title" tabindex="-1">Dead letters</h1>
      <nav class="tabs" aria-label="Which letters">
        ${STATES.map(
          (each) =>
            html`<a href=${`#/dead-letters?state=${each}`} aria-current=${each === state ? 'page' : undefined}>${each}</a>`,
        )}
      </nav>
      ${
        state === 'open' &&
        letters.length > 1 &&
        html`<button onClick=${() => setAsking(true)}>Redrive all</button>`
      }
    </div>
    <p class="quiet">Jobs that failed for good. Remove the cause, then redrive: what exists is not made again.</p>
    <p role="status">${said}</p>
    ${fault !== '' && html`<p class="fault" role="alert">${fault}</p>`}
    ${page === undefined && fault === '' && html`<p class="quiet">Loading …</p>`}
    ${page !== undefined && letters.length === 0 && html`<p class="none">No dead letters.</p>`}
    <ol>${letters.map((letter) => html`<li key=${letter.id}><${Letter} ...${{ api, uploads, letter }} /></li>`)}</ol>
    ${page?.next && html`<button onClick=${() => load(String(page.next), letters)}>Show more</button>`}
    ${
      isAsking &&
      html`<${Dialog} title="Redrive all open letters?" action="Redrive all" onDone=${redriveAll} onClose=${() => setAsking(false)}>
        <p>Each job is run once more, up to a thousand now. What has been made stays.</p>
      <//>`
    }
  </section>`
}
