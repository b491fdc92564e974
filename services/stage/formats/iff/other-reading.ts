import type { ByteWindow } from '../byte-window.ts'
import { CERTAIN, isBetter, isSound, isSuspect, SUSPECT } from './evidence.ts'
import {
  type Declared,
  type Measured,
  MIN_VALUES,
  measured,
  type Reading,
  readingsFor,
  WILD,
} from './reading.ts'

/** The places that are read only if the middle is suspect, as shares of the samples. */
const PLACES = [0.03, 0.1, 0.17, 0.25, 0.33, 0.42, 0.5, 0.58, 0.66, 0.75, 0.83, 0.92]
const LOOK_BYTES = 8192
/** Number of bytes that is a whole number of samples at each width. */
const COMMON_WIDTHS = 24
const MIDDLE_PLACE = 0.5
/** Minimum number of numbers that have to be examined. */
const MIN_NUMBERS = 1000

/** The samples in the middle, and what was measured there. */
export interface Middle {
  readonly looks: readonly Buffer[]
  readonly own: Measured
}

export async function middleOf(window: ByteWindow, declared: Declared): Promise<Middle> {
  const looks = await looksAt(window, declared, [MIDDLE_PLACE])
  return { looks, own: measured(looks, declared, declared) }
}

/**
 * How samples have to be read if they are noise as declared and clearly sound in another reading: with the
 * other byte order, another width, signed or unsigned, integers, floating-point numbers or a logarithmic law.
 * Undefined: they are as declared, or nothing proves the contrary. In sound masters only the middle is read.
 */
export async function otherReading(
  window: ByteWindow,
  declared: Declared,
  middle?: Middle,
): Promise<OtherReading | undefined> {
  const { looks: first, own: there } = middle ?? (await middleOf(window, declared))
  // Silence proves nothing: then all places are read.
  const isLively = there.values >= MIN_VALUES
  if (isLively && !isSuspect(first, declared, there)) return undefined
  const looks = await looksAt(window, declared, PLACES)
  const numbers = looks.reduce((sum, look) => sum + look.length, 0) / (declared.bits / 8)
  const own = measured(looks, declared, declared)
  if (numbers < MIN_NUMBERS || !isSuspect(looks, declared, own)) return undefined
  if (isScaled(own, declared)) return { contradicts: tooLoud(own) }
  const swapped = swappedOf(own, declared)
  if (swapped !== undefined) {
    const found = measured(looks, swapped, declared)
    if (isSound(found, swapped) && found.roughness * CERTAIN < own.roughness)
      return { as: swapped, contradicts: misread(declared, swapped) }
  }
  let best: Reading | undefined
  let smoothest = Number.POSITIVE_INFINITY
  for (const reading of readingsFor(declared)) {
    // The narrowest sound reading wins, because every second number of a sound is a sound too.
    if (best !== undefined && best.bits < reading.bits) break
    const found = measured(looks, reading, declared)
    if (!isSound(found, reading)) continue
    if (!isBetter(looks, { own, found, reading, declared })) continue
    if (best?.encoding === 'float' && reading.encoding !== 'float') continue
    if (found.roughness < smoothest) {
      best = reading
      smoothest = found.roughness
    }
  }
  return best && { as: best, contradicts: misread(declared, best) }
}

/**
 * The other byte order of integers that are noise as declared. It is tried first: narrower numbers are no noise if
 * they are read as wider ones, but silence among noise makes it look like narrower ones.
 */
export function swappedOf(
  { roughness }: Pick<Measured, 'roughness'>,
  declared: Declared,
): Reading | undefined {
  const { encoding, bits, unsigned, bigEndian } = declared
  if (encoding !== 'int' || bits === 8 || roughness < SUSPECT) return undefined
  return { encoding, bits, unsigned, bigEndian: !bigEndian }
}

/** The corrected reading, unless the samples cannot be read, and the warning about it. */
interface OtherReading {
  readonly as?: Reading
  readonly contradicts: string
}

/** Whether floating-point numbers are sound but have the scale of integers. */
function isScaled({ roughness, beyond, peak }: Measured, { encoding }: Declared): boolean {
  return encoding === 'float' && beyond > MIN_SCALED && roughness < SUSPECT && peak < WILD
}

const MIN_SCALED = 0.3

function tooLoud({ peak }: Measured): string {
  return `the header says floating-point numbers, whose full scale is 1, and the samples reach ${peak.toFixed(0)}: what is beyond full scale is clipped`
}

/** The warning about a header that says `said` where the samples are `found`. It names only what differs. */
export function misread(said: Reading, found: Reading): string {
  const named = (one: Reading, other: Reading) => {
    const { encoding, bits, unsigned, bigEndian } = one
    const isTurned =
      encoding === 'int' && other.encoding === 'int' && unsigned !== other.unsigned
    const sign = isTurned ? (unsigned ? 'unsigned ' : 'signed ') : ''
    const isSwapped = bits > 8 && other.bits > 8 && bigEndian !== other.bigEndian
    const order = isSwapped ? (bigEndian ? 'big-endian ' : 'little-endian ') : ''
    return `${order}${sign}${KINDS[encoding]} of ${bits} bits`
  }
  return `the header says ${named(said, found)}, and the samples are ${named(found, said)}; they were read as such`
}

const KINDS = {
  int: 'integers',
  float: 'floating-point numbers',
  alaw: 'numbers by the A-law',
  mulaw: 'numbers by the µ-law',
}

async function looksAt(
  window: ByteWindow,
  { channels, offset, bytes }: Declared,
  places: readonly number[],
): Promise<readonly Buffer[]> {
  const step = channels * COMMON_WIDTHS
  const looks: Buffer[] = []
  for (const place of places) {
    const at = Math.floor((bytes * place) / step) * step
    const length = Math.min(LOOK_BYTES, bytes - at)
    const piece = await window.glance(offset + at, length - (length % step))
    looks.push(Buffer.from(piece))
  }
  return looks
}
