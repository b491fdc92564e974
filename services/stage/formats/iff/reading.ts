import type { PcmLayout } from '../layout.ts'
import { LAWS } from './laws.ts'
import { Roughness } from './roughness.ts'

/** How bytes are read as numbers. */
export type Reading = Pick<PcmLayout, 'encoding' | 'bits' | 'unsigned' | 'bigEndian'>

/** Uncompressed samples as a consistent header describes them. */
export interface Declared extends Reading {
  readonly channels: number
  readonly offset: number
  readonly bytes: number
  /** Whether something else counts the samples, so that another width would contradict it. */
  readonly isWidthKnown?: boolean
}

/**
 * Returns a function that reads the number at byte `at`, integers as shares of full scale, and the width of a
 * number in bytes.
 */
function readerOf({ encoding, bits, unsigned, bigEndian }: Reading): {
  readonly width: number
  readonly read: (bytes: Buffer, at: number) => number
} {
  const width = bits / 8
  if (encoding === 'alaw' || encoding === 'mulaw') {
    const law = LAWS[encoding]
    return { width, read: (bytes, at) => law[bytes[at] as number] as number }
  }
  if (encoding === 'float') {
    const name = `read${bits === 32 ? 'Float' : 'Double'}${bigEndian ? 'BE' : 'LE'}` as const
    return { width, read: (bytes, at) => bytes[name](at) }
  }
  const full = 2 ** (bits - 1)
  const middle = unsigned ? 1 : 0
  if (bits === 16 && !unsigned) {
    const name = bigEndian ? 'readInt16BE' : 'readInt16LE'
    return { width, read: (bytes, at) => bytes[name](at) / full }
  }
  const name = `read${unsigned ? 'UInt' : 'Int'}${bigEndian ? 'BE' : 'LE'}` as const
  return { width, read: (bytes, at) => bytes[name](at, width) / full - middle }
}

/** Statistics of numbers in one reading. */
export interface Measured {
  readonly roughness: number
  readonly peak: number
  /** Share of floating-point numbers that are unlikely as sound. */
  readonly unlikely: number
  /** Share of numbers far beyond full scale. */
  readonly beyond: number
  /** Number of different values, counted up to `MIN_VALUES`. */
  readonly values: number
  /** Number of different binary exponents of the floating-point numbers, counted up to `MAX_SIZES`. */
  readonly sizes: number
  /** Shares of the numbers near full scale, and near its middle. */
  readonly loud: number
  readonly middle: number
}

/** The range of floating-point numbers that are likely as sound. */
const [QUIETEST, LOUDEST] = [1e-12, 16]
/** Minimum number of different values. A square wave has fewer, and proves nothing. */
export const MIN_VALUES = 48
/** Number of binary exponents that are counted; a few are enough to tell sound. */
const MAX_SIZES = 8
/** Limit far beyond the full scale of 32-bit integers, which floating-point numbers may have as their scale. */
export const WILD = 1e12
/** The range of loud numbers. Full scale itself is excluded, because clipped sound and square waves lie there. */
const LOUD = [0.75, 0.99] as const
const MIDDLE = 0.25

/** Measures numbers, each against the one before it in its channel. Each piece begins with a whole sample. */
export function measured(
  looks: readonly Buffer[],
  reading: Reading,
  { channels }: { readonly channels: number },
): Measured {
  const { read, width } = readerOf(reading)
  const roughness = new Roughness()
  const sizes = new Set<number>()
  const values = new Set<number>()
  const isFloat = reading.encoding === 'float'
  let [count, peak, unlikely, beyond, loud, middle] = [0, 0, 0, 0, 0, 0]
  const step = width * channels
  for (const look of looks) {
    const tame = (at: number) => {
      const value = read(look, at)
      return Number.isNaN(value) ? WILD : Math.max(-WILD, Math.min(WILD, value))
    }
    // The last number of each channel.
    const before = new Float64Array(channels)
    for (let at = 0; at < Math.min(step, look.length - width + 1); at += width) {
      before[at / width] = tame(at)
    }
    let channel = 0
    for (let at = step; at + width <= look.length; at += width) {
      const value = tame(at)
      const size = Math.abs(value)
      roughness.add(value, before[channel] as number)
      before[channel] = value
      channel = channel + 1 === channels ? 0 : channel + 1
      count++
      if (values.size < MIN_VALUES) values.add(value)
      if (size > peak) peak = size
      if (size > LOUD[0] && size < LOUD[1]) loud++
      if (size < MIDDLE) middle++
      if (!isFloat || size === 0) continue
      if (size > LOUDEST) beyond++
      if (size < QUIETEST || size > LOUDEST) unlikely++
      if (sizes.size < MAX_SIZES) sizes.add(Math.ceil(Math.log2(size)))
    }
  }
  const share = (part: number) => (count === 0 ? 0 : part / count)
  return {
    roughness: roughness.value(),
    peak,
    values: values.size,
    sizes: sizes.size,
    unlikely: share(unlikely),
    beyond: share(beyond),
    loud: share(loud),
    middle: share(middle),
  }
}

/**
 * Measures the part of `bits` bits at byte `from` of each number of `width` bytes, against the same part of the
 * number before.
 */
export function partOf(
  looks: readonly Buffer[],
  {
    bits,
    bigEndian,
    channels,
    width,
    from,
  }: { bits: number; bigEndian: boolean; channels: number; width: number; from: number },
) {
  // Unsigned and signed bytes are equally smooth, except where they wrap around.
  const { read } = readerOf({ encoding: 'int', bits, unsigned: bits === 8, bigEndian })
  const roughness = new Roughness()
  const values = new Set<number>()
  const step = width * channels
  for (const look of looks) {
    for (let at = from + step; at + bits / 8 <= look.length; at += width) {
      const value = read(look, at)
      roughness.add(value, read(look, at - step))
      if (values.size < MIN_VALUES) values.add(value)
    }
  }
  return { roughness, values }
}

/**
 * Mean powers of the steps between numbers: from the first to the second of each pair (`within`), from the second
 * to the first of the next pair (`across`), and from each number to the next but one (`apart`).
 */
export function stepsBetween(
  looks: readonly Buffer[],
  reading: Reading,
): { readonly within: number; readonly across: number; readonly apart: number } {
  const { read, width } = readerOf(reading)
  let [within, across, apart, pairs] = [0, 0, 0, 0]
  for (const look of looks) {
    for (let at = 0; at + 4 * width <= look.length; at += 2 * width) {
      const [a, b, c] = [0, 1, 2].map((n) => read(look, at + n * width)) as [
        number,
        number,
        number,
      ]
      within += (b - a) ** 2
      across += (c - b) ** 2
      apart += (c - a) ** 2
      pairs++
    }
  }
  const mean = (sum: number) => sum / Math.max(1, pairs)
  return { within: mean(within), across: mean(across), apart: mean(apart) }
}

/** All readings except the declared one: narrow ones first, floating-point numbers before integers. */
export function readingsFor(declared: Declared): Reading[] {
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
