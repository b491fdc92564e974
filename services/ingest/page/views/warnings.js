import { html } from '../lib/vendor.js'

/** @import { WarningTold } from '../lib/types.d.ts' */

/** In a word or two, for lists. */
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
 * That something is missing or wrong in a master, on the line of a track; nothing where there is none.
 * @param {{ codes: readonly string[] | undefined }} props
 */
export function WarningChip({ codes = [] }) {
  if (codes.length === 0) return null
  const said = codes.map(warningWord).join(', ')
  return html` <span class="chip is-warned" title=${`Warning: ${said}`}><span aria-hidden="true">!</span><span class="unseen">Warning: ${said}</span></span>`
}

/**
 * What is missing or wrong in a master that was accepted all the same.
 * @param {{ warnings: readonly WarningTold[] }} props
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
