import { whyNot } from '../lib/api.js'
import { usePolled } from '../lib/polled.js'
import { html, useRef, useState } from '../lib/vendor.js'
import { counted, moment } from '../lib/words.js'
import { Dialog } from './dialog.js'

/** @import { Api } from '../lib/api.js' */
/** @import { Campaign as Shown, CampaignPage } from '../lib/types.d.ts' */

/** @typedef {'start' | 'pause' | 'resume' | 'cancel'} Move */

/**
 * What can be asked of a campaign in each state.
 * @type {Readonly<Record<string, readonly Move[]>>}
 */
const MOVES = {
  enumerating: ['pause', 'cancel'],
  draft: ['start', 'cancel'],
  running: ['pause', 'cancel'],
  paused: ['resume', 'cancel'],
  cancelled: ['resume'],
}

/** What a dialog says before it acts: the button, and what follows. */
const WORDS = {
  start: ['Start', 'Its items are made in the lane backfill, behind everything else.'],
  pause: [
    'Pause',
    'What is in the queue is withdrawn, what is under way is stopped. What was made stays.',
  ],
  resume: ['Resume', 'What was withdrawn comes first; what was made is found.'],
  cancel: [
    'Cancel the campaign',
    'What is in the queue is withdrawn, what is under way is stopped. What was made stays.',
  ],
}

/**
 * The campaigns, how far they are, and the possible actions.
 * @param {{ api: Api }} props
 */
export function Campaigns({ api }) {
  const { seen, fault, load } = usePolled(api, '/v1/campaigns?limit=50')
  const page = /** @type {CampaignPage | undefined} */ (seen)
  return html`<section class="letters" aria-labelledby="campaigns-title">
    <div class="head"><h1 id="campaigns-title" tabindex="-1">Campaigns</h1></div>
    <p class="quiet">Long lists of tracks that are made beside everything else. <code>trackchain campaign create</code> makes one.</p>
    ${fault !== '' && html`<p class="fault" role="alert">${fault}</p>`}
    ${page === undefined && fault === '' && html`<p class="quiet">Loading …</p>`}
    ${page?.campaigns.length === 0 && html`<p class="none">No campaigns.</p>`}
    <ol>${page?.campaigns.map((each) => html`<li key=${each.id}><${Campaign} ...${{ api, campaign: each, onDone: load }} /></li>`)}</ol>
  </section>`
}

/** @param {{ api: Api, campaign: Shown, onDone: () => void }} props */
function Campaign({ api, campaign, onDone }) {
  const { id, name, state, items, waiting, open, eta, paused } = campaign
  const isReading = state === 'enumerating'
  const ended = items - waiting - open
  const percent = isReading
    ? campaign.enumerated
    : Math.floor((100 * ended) / Math.max(1, items))
  const said = isReading
    ? `${percent} % of its source is read: ${counted(items)} items`
    : `${percent} %, ${counted(ended)} of ${counted(items)} items`
  const wrong = campaign.failed + campaign.partial + campaign.unreleasable
  return html`<article class="card letter" aria-label=${name}>
    <header>
      <h2>${name}</h2>
      <span class="state">${state}</span>
      <span class="quiet">${id}</span>
    </header>
    <progress max="100" value=${percent} aria-label=${`${name}: ${said}`}></progress>
    <p>${said}${open > 0 && `, ${counted(open)} under way`}${wrong > 0 && html`, <b>${counted(wrong)} failed</b>`}${campaign.refused > 0 && `, ${counted(campaign.refused)} lines refused`}</p>
    ${eta && html`<p>Done at ${moment(eta.at)}, most likely from ${moment(eta.from)}${eta.to && ` to ${moment(eta.to)}`}</p>`}
    <${Cost} campaign=${campaign} />
    ${
      paused &&
      html`<p><code>${paused.code}</code> ${paused.sentence}</p>
      ${paused.remedy && html`<p class="remedy"><b>What to do</b>${paused.remedy}</p>`}`
    }
    <div class="buttons">${(MOVES[state] ?? []).map((move) => html`<${Act} key=${move} ...${{ api, campaign, move, onDone }} />`)}</div>
  </article>`
}

/**
 * What has been spent, beside what was forecast and what may be.
 * @param {{ campaign: Shown }} props
 */
function Cost({ campaign }) {
  const { spent, budget } = campaign
  const result = campaign.forecast?.result
  const seconds = (/** @type {number} */ n) => `${counted(Math.round(n))} core-seconds`
  return html`<p class="quiet">
    Spent: ${seconds(spent.core_seconds)}, $${spent.usd.toFixed(2)}.
    ${result && ` Forecast: ${seconds(result.core_seconds)}, $${result.usd.toFixed(2)} ($${result.from.usd.toFixed(2)} to $${result.to.usd.toFixed(2)}).`}
    ${budget?.usd !== undefined && ` Budget: $${budget.usd}.`}
    ${budget?.core_seconds !== undefined && ` Budget: ${seconds(budget.core_seconds)}.`}
  </p>`
}

/**
 * A button that acts, after asking.
 * @param {{ api: Api, campaign: Shown, move: Move, onDone: () => void }} props
 */
function Act({ api, campaign, move, onDone }) {
  const [isAsking, setAsking] = useState(false)
  const [said, setSaid] = useState('')
  const reason = useRef(/** @type {HTMLTextAreaElement | null} */ (null))
  const [action = '', follows = ''] = WORDS[move]

  async function act() {
    const why = reason.current?.value.trim() ?? ''
    setAsking(false)
    try {
      await api.post(`/v1/campaigns/${campaign.id}/${move}`, why === '' ? {} : { reason: why })
      setSaid('')
    } catch (error) {
      setSaid(whyNot(error))
    }
    onDone()
  }

  return html`<button class="slight" onClick=${() => setAsking(true)}>${move === 'cancel' ? 'Cancel' : action} …</button>
    <span role="status">${said}</span>
    ${
      isAsking &&
      html`<${Dialog} title=${`${action}: ${campaign.name}?`} action=${action} back="Leave it" onDone=${act} onClose=${() => setAsking(false)}>
        <p>${follows} ${counted(campaign.waiting)} of its items wait, ${counted(campaign.open)} are under way.</p>
        <label>Why (may be left out)
          <textarea ref=${reason} maxlength="1000" rows="3"></textarea>
        </label>
      <//>`
    }`
}
