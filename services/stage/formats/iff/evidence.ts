import {
  type Declared,
  type Measured,
  MIN_VALUES,
  measured,
  partOf,
  type Reading,
  readingsFor,
  stepsBetween,
} from './reading.ts'
import { SMOOTH } from './roughness.ts'

// What speaks for and against a reading of samples: whether they are noise, sound, or parts of other numbers.

/** Minimum roughness of a suspect: it may be noise that a wrong reading makes. */
export const SUSPECT = 0.3
/** Maximum roughness of sound. */
const SOUND = 0.2
/** How many times smoother than as declared sound has to be. */
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

/**
 * Whether numbers as declared may be something else: noise, parts that are sound by themselves, or all of them
 * loud.
 * @param own what they are as declared
 */
export function isSuspect(
  looks: readonly Buffer[],
  declared: Declared,
  own: Measured,
): boolean {
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

export function isSound(found: Measured, { encoding }: Reading): boolean {
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

export function isBetter(
  looks: readonly Buffer[],
  { own, found, reading, declared }: Both,
): boolean {
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
