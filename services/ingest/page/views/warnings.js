import { html } from '../lib/vendor.js'

/** @import { Warning } from '../lib/types.d.ts' */

/** The warnings in one or two words, for lists. */
const WORDS = /** @type {Readonly<Record<string, string>>} */ ({
  CUT_SHORT: 'cut short',
  HEADER_CONTRADICTS: 'odd header',
  MORE_FOLLOWS: 'more follows',
  MD5_MISMATCH: 'wrong MD5',
  DAMAGED: 'damaged',
})

/** @param {string} code */
const warningWord = (code) => WORDS[code] ?? code.toLowerCase().replaceAll('_', ' ')

/**
 * A chip on the line of a track whose master has warnings. Empty without warnings.
 * @param {{ codes: readonly string[] | undefined }} props
 */
export function WarningChip({ codes = [] }) {
  if (codes.length === 0) return null
  const said = codes.map(warningWord).join(', ')
  return html` <span class="chip is-warned" title=${`Warning: ${said}`}><span aria-hidden="true">!</span><span class="unseen">Warning: ${said}</span></span>`
}

/**
 * The warnings about a master that was accepted.
 * @param {{ warnings: readonly Warning[] }} props
 */
export function Warnings({ warnings }) {
  if (warnings.length === 0) return null
  return html`<section class="warnings" aria-labelledby="warnings-title">
    <h2 id="warnings-title">${warnings.length === 1 ? 'A warning' : 'Warnings'} about its master</h2>
    <ul>${warnings.map(
      ({ code, sentence, remedy }) =>
        html`<li key=${code + sentence}><code>${code}</code> ${sentence}.${remedy && html` <span class="quiet">${remedy}</span>`}</li>`,
    )}</ul>
  </section>`
}
