import { hue, KEYS, neighbours } from '../lib/camelot.js'
import { html } from '../lib/vendor.js'

/** Radii of the rings in units of the drawing: inner edge, border between the rings, outer edge. */
const RINGS = /** @type {const} */ ([46, 80, 114])

/**
 * A key on the Camelot wheel, with the keys that mix with it unless the key is uncertain.
 * @param {{ camelot: string, label: string, isGuess: boolean }} props
 */
export function Wheel({ camelot, label, isGuess }) {
  const near = isGuess ? [] : neighbours(camelot)
  const mixes = isGuess ? 'It is uncertain.' : `It mixes with ${near.join(', ')}.`
  const said = `${label} on the Camelot wheel. ${mixes}`
  return html`<svg class="wheel" viewBox="-120 -120 240 240" role="img" aria-label=${said}>
    ${KEYS.map(({ camelot: each, key }) => {
      const number = Number.parseInt(each, 10)
      const isInner = each.endsWith('A')
      const [from, to] = isInner ? [RINGS[0], RINGS[1]] : [RINGS[1], RINGS[2]]
      const [x, y] = at((from + to) / 2, number * 30 - 90)
      const kind = each === camelot ? 'is-it' : near.includes(each) ? 'is-near' : ''
      return html`<g key=${each} class=${kind} style=${{ '--hue': hue(each) }}>
        <title>${each}, ${key}</title>
        <path d=${segment(from, to, number * 30 - 105)} />
        <text x=${x} y=${y} dy="0.35em">${each}</text>
      </g>`
    })}
    <text class="middle" y="-4">${camelot}</text>
    <text class="below" y="17">${label}</text>
  </svg>`
}

/**
 * @param {number} radius
 * @param {number} degrees clockwise from the right
 */
function at(radius, degrees) {
  const angle = (degrees * Math.PI) / 180
  return [radius * Math.cos(angle), radius * Math.sin(angle)].map((n) => n.toFixed(2))
}

/**
 * A twelfth of a ring.
 * @param {number} inner
 * @param {number} outer
 * @param {number} degrees where it begins
 */
function segment(inner, outer, degrees) {
  const [a, b] = [at(outer, degrees), at(outer, degrees + 30)]
  const [c, d] = [at(inner, degrees + 30), at(inner, degrees)]
  return `M${a}A${outer} ${outer} 0 0 1 ${b}L${c}A${inner} ${inner} 0 0 0 ${d}Z`
}
