import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import {
  type Measured,
  MIN_VALUES,
  measured,
  partOf,
  type Reading,
  stepsBetween,
  WILD,
} from './reading.ts'
import { SMOOTH } from './roughness.ts'

/** Uncompressed samples as a consistent header describes them. */
export interface Declared extends Reading {
  readonly channels: number
  readonly offset: number
  readonly bytes: number
  /** Whether something else counts the samples, so that another width would contradict it. */
  readonly isWidthKnown?: boolean
}

/** The places that are read only if the middle is suspect, as shares of the samples. */
const PLACES = [0.03, 0.1, 0.17, 0.25, 0.33, 0.42, 0.5, 0.58, 0.66, 0.75, 0.83, 0.92]
const LOOK_BYTES = 8192
/** Number of bytes that is a whole number of samples at each width. */
const COMMON_WIDTHS = 24
const MIDDLE_PLACE = 0.5
/** Minimum number of numbers that have to be examined. */
const MIN_NUMBERS = 1000
/** Minimum roughness of a suspect: it may be noise that a wrong reading makes. */
export const SUSPECT = 0.3
/** Maximum roughness of sound, and how many times smoother than as declared it has to be. */
const SOUND = 0.2
export const CERTAIN = 3
/** Minimum roughness of the lower part of a number, which is noise. */
const NOISE = 0.6
/** Maximum ratio of the powers of the parts of a number, if these are numbers of their own. */
const ALIKE = 1.5
/** Minimum peak as a share of full scale. Quieter readings prove nothing. */
export const MIN_PEAK = 1 / 64
/**
 * Maximum share of floating-point numbers that are unlikely as sound in a correct reading, and minimum share of
 * them in a wrong one.
 */
export const [FEW, MANY] = [0.02, 0.05]

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
  if (isLively && !isSuspect(first, declared)) return undefined
  const looks = await looksAt(window, declared, PLACES)
  const numbers = looks.reduce((sum, look) => sum + look.length, 0) / (declared.bits / 8)
  if (numbers < MIN_NUMBERS || !isSuspect(looks, declared)) return undefined
  const own = measured(looks, declared, declared)
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

/** All readings except the declared one: narrow ones first, floating-point numbers before integers. */
function readingsFor(declared: Declared): Reading[] {
  const all: Reading[] = []
  const add = (encoding: PcmLayout['encoding'], bits: number, unsigned: boolean) => {
    // Two errors at once are not considered, because then chance could look like sound.
    const orders = bits === declared.bits ? [false, true] : [declared.bigEndian]
    for (const bigEndian of bits === 8 ? [false] : orders)
      all.push({ encoding, bits, unsigned, bigEndian })
  }
  for (const bits of [8, 16, 24, 32, 64]) {
    if (declared.isWidthKnown === true && bits !== declared.bits) continue
    if (bits >= 32) add('float', bits, false)
    if (bits <= 32) add('int', bits, false)
    if (bits <= 16) add('int', bits, true)
    // In wider numbers that is two errors at once, too.
    const laws = bits === 8 && declared.bits === 8 ? (['alaw', 'mulaw'] as const) : []
    for (const law of laws) add(law, bits, false)
  }
  const { encoding, bits, unsigned, bigEndian } = declared
  return all.filter(
    (each) =>
      each.encoding !== encoding ||
      each.bits !== bits ||
      each.unsigned !== unsigned ||
      (bits > 8 && each.bigEndian !== bigEndian),
  )
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

/**
 * Whether numbers as declared may be something else: noise, parts that are sound by themselves, or all of them
 * loud.
 */
function isSuspect(looks: readonly Buffer[], declared: Declared): boolean {
  const own = measured(looks, declared, declared)
  if (own.values < MIN_VALUES) return false
  if (declared.encoding === 'float') return own.unlikely > MANY
  const isEight = (reading: Reading) =>
    reading.bits === 8 && isPlainer(measured(looks, reading, declared), own)
  if (declared.bits === 8 && readingsFor(declared).some(isEight)) return true
  if (declared.encoding !== 'int') return own.roughness > SUSPECT
  return (
    own.roughness > SUSPECT ||
    isTurned(own) ||
    areParts(looks, declared, 8) ||
    areParts(looks, declared, 16)
  )
}

/**
 * Whether one reading of 8 bits is much smoother than the declared one. Numbers of 8 bits that count from elsewhere or
 * follow another law are no noise: they jump where sound crosses zero.
 */
function isPlainer(found: Measured, own: Measured): boolean {
  return found.roughness * PLAINER < own.roughness
}

const PLAINER = 2

/**
 * Whether hardly any number is near zero, which is the case if signed numbers are read as unsigned, or the
 * reverse.
 */
function isTurned({ loud, middle }: Measured): boolean {
  return loud > MIN_LOUD && middle < MAX_MIDDLE
}

const [MIN_LOUD, MAX_MIDDLE] = [0.3, 0.1]

/** Maximum mean of the parts, as a share of full scale. */
const MAX_MEAN = 0.25

/**
 * Whether each number consists of several numbers of `bits` bits that follow each other smoothly and have
 * similar power.
 */
function areParts(looks: readonly Buffer[], declared: Declared, bits: number): boolean {
  if (declared.bits <= bits || declared.bits % bits !== 0) return false
  const { bigEndian, channels } = declared
  const width = declared.bits / 8
  const parts = Array.from({ length: declared.bits / bits }, (_, part) =>
    partOf(looks, { bits, bigEndian, channels, width, from: (part * bits) / 8 }),
  )
  const powers = parts.map(({ roughness }) => roughness.power())
  const isAlike = Math.max(...powers) < ALIKE * Math.min(...powers)
  // In quiet sound the higher bytes have few values, and are as smooth as signs are.
  const isLively = parts.every(({ values }) => values.size >= MIN_VALUES)
  // Bytes of sound lie about their middle, and zeros do not: as bytes, silence of wider numbers has a mean of -1.
  const isCentred = parts.every(({ roughness }) => Math.abs(roughness.mean()) < MAX_MEAN)
  if (!isCentred) return false
  return isAlike && isLively && parts.every(({ roughness }) => roughness.value() < SMOOTH)
}

function isSound(found: Measured, { encoding }: Reading): boolean {
  const isLively = found.values >= MIN_VALUES && found.peak >= MIN_PEAK
  if (found.roughness > SOUND || !isLively) return false
  return encoding !== 'float' || (found.unlikely < FEW && found.sizes >= MIN_SIZES)
}

/** Near zero crossings numbers of all magnitudes occur. */
const MIN_SIZES = 4

interface Both {
  readonly own: Measured
  readonly found: Measured
  readonly reading: Reading
  readonly declared: Declared
}

function isBetter(looks: readonly Buffer[], { own, found, reading, declared }: Both): boolean {
  if (declared.bits === 8 && reading.bits === 8) return isPlainer(found, own)
  const isInt = declared.encoding !== 'float'
  const isTurn =
    declared.encoding === 'int' &&
    reading.encoding === 'int' &&
    reading.unsigned !== declared.unsigned &&
    reading.bits === declared.bits
  if (isTurn) return isTurned(own) && found.roughness * CERTAIN < own.roughness
  if (
    declared.encoding === 'int' &&
    reading.bits < declared.bits &&
    areParts(looks, declared, reading.bits)
  )
    return true
  // Between two floating-point readings it is enough that one is likely and the declared one is not.
  if (!isInt && reading.encoding === 'float') return true
  if (own.roughness < SUSPECT || found.roughness * CERTAIN > own.roughness) return false
  if (reading.bits < declared.bits && isPadded(looks, declared)) return false
  if (reading.bits > declared.bits && isOneChannel(looks, reading, declared)) return false
  return reading.encoding === 'float' || hasNoiseBelow(looks, reading, declared)
}

/**
 * Whether the lowest byte of each number is zero. Then the numbers are as wide as declared and merely use fewer
 * bits.
 */
function isPadded(looks: readonly Buffer[], { encoding, bits, bigEndian }: Declared): boolean {
  const width = bits / 8
  const lowest = bigEndian ? width - 1 : 0
  return (
    encoding === 'int' &&
    looks.every((look) => look.every((byte, at) => at % width !== lowest || byte === 0))
  )
}

/**
 * Whether wider numbers follow each other as one channel would: then they are stereo as declared, with noise at the
 * left and sound at the right. Two channels of wider numbers differ, or have the same number twice.
 */
function isOneChannel(
  looks: readonly Buffer[],
  reading: Reading,
  { channels }: Declared,
): boolean {
  if (channels !== 2) return false
  const { within, across, apart } = stepsBetween(looks, reading)
  const isEven = within < EVEN * across && across < EVEN * within
  return isEven && within + across < ONE_CHANNEL * 2 * apart
}

/** Maximum ratio of the powers of steps within and between pairs of numbers, if these are one channel. */
const EVEN = 2
/**
 * Maximum power of a step from one number to the next, as a share of that to the next but one, of one channel: below 1
 * where it is sound, about 1 where it is noise.
 */
const ONE_CHANNEL = 1.3

/** Whether the lowest part of each number is noise. Otherwise it may be another number. */
function hasNoiseBelow(
  looks: readonly Buffer[],
  { bits, bigEndian }: Reading,
  declared: Declared,
): boolean {
  if (bits <= declared.bits || bits % declared.bits !== 0) return true
  const width = bits / 8
  const from = bigEndian ? width - declared.bits / 8 : 0
  const { channels } = declared
  const lowest = partOf(looks, { bits: declared.bits, bigEndian, channels, width, from })
  return lowest.roughness.value() > NOISE
}
