/** The keys of the Camelot wheel by their numbers, 1 to 12: minor is A, the inner ring; major is B. */
const MINOR = ['G#', 'Eb', 'Bb', 'F', 'C', 'G', 'D', 'A', 'E', 'B', 'F#', 'C#']
const MAJOR = ['B', 'F#', 'Db', 'Ab', 'Eb', 'Bb', 'F', 'C', 'G', 'D', 'A', 'E']

/** All 24 keys, e.g. `{ camelot: '8A', key: 'A minor' }`. */
export const KEYS = MINOR.flatMap((minor, i) => [
  { camelot: `${i + 1}A`, key: `${minor} minor` },
  { camelot: `${i + 1}B`, key: `${MAJOR[i]} major` },
])

/**
 * The keys that mix with a key: the same number on the other ring, and one step in each direction.
 * @param {string} camelot e.g. `8A`
 */
export function neighbours(camelot) {
  const number = Number.parseInt(camelot, 10)
  const ring = camelot.slice(-1)
  const other = ring === 'A' ? 'B' : 'A'
  const [before, after] = [((number + 10) % 12) + 1, (number % 12) + 1]
  return [`${before}${ring}`, `${after}${ring}`, `${number}${other}`]
}

/**
 * The hue of a key everywhere on the page, degrees. Neighbouring keys have similar hues.
 * @param {string} camelot
 */
export const hue = (camelot) => (Number.parseInt(camelot, 10) * 30 + 160) % 360
