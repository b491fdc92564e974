const count = new Intl.NumberFormat('en')
const about = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const decimal = new Intl.NumberFormat('en', {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
})
const clock = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const near = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'short' })

/** Shown in place of a missing number. */
const NOTHING = '–'

/** @param {number | null | undefined} n */
export const counted = (n) => (n === null || n === undefined ? NOTHING : count.format(n))

/** @param {number | null | undefined} n shown to one decimal; from 100 on, as a whole number */
export function rate(n) {
  if (n === null || n === undefined) return NOTHING
  return n >= 100 ? count.format(Math.round(n)) : about.format(n)
}

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return NOTHING
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${decimal.format(ms / 1000)} s` : length(ms / 1000)
}

/** @param {number | null | undefined} seconds shown as players do: `7:13`, `1:02:05` */
export function length(seconds) {
  if (seconds === null || seconds === undefined) return NOTHING
  const whole = Math.floor(seconds)
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (/** @type {number} */ n) => String(n).padStart(2, '0')
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${decimal.format(bytes / 1e6)} MB`
}

/**
 * A tempo with its significant decimals: the last one is worth at least its standard error.
 * @param {number | null | undefined} bpm
 * @param {number | undefined} error the error of the tempo due to the track's length, BPM
 */
export function tempo(bpm, error = 0) {
  if (bpm === null || bpm === undefined) return NOTHING
  return bpm.toFixed(error <= 0.02 ? 2 : error <= 0.2 ? 1 : 0)
}

/** @param {string} at ISO 8601 */
export const moment = (at) => clock.format(new Date(at))

/** @param {string} at ISO 8601 */
export function ago(at) {
  const seconds = (Date.parse(at) - Date.now()) / 1000
  const past = Math.abs(seconds)
  if (past < 45) return 'just now'
  if (past < 2700) return near.format(Math.round(seconds / 60), 'minute')
  if (past < 79_200) return near.format(Math.round(seconds / 3600), 'hour')
  return near.format(Math.round(seconds / 86_400), 'day')
}

/** @param {number} decibels shown with a typographic minus */
export const level = (decibels) => decibels.toFixed(1).replace('-', '−')

/** Findings below this probability are marked as uncertain and are not recommended. */
const LIKELY = 0.5

/** @param {number | null | undefined} confidence 0 to 1 */
export const isUnlikely = (confidence) => typeof confidence === 'number' && confidence < LIKELY

/**
 * A probability, in a word.
 * @param {number | undefined} confidence 0 to 1
 */
export function sureness(confidence) {
  if (confidence === undefined) return ''
  if (confidence >= 0.8) return 'sure'
  return confidence >= LIKELY ? 'likely' : 'uncertain'
}

/** @param {{ asset_guid: string, title?: string }} track */
export const nameOf = ({ asset_guid, title }) => title || asset_guid
