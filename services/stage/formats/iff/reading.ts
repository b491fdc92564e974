import type { PcmLayout } from '../layout.ts'
import { Roughness } from './roughness.ts'

/** How bytes are read as numbers. */
export type Reading = Pick<PcmLayout, 'encoding' | 'bits' | 'unsigned' | 'bigEndian'>

/** Reads the number at byte `at`: integers as shares of full scale. `width`: how many bytes it takes. */
function readerOf({ encoding, bits, unsigned, bigEndian }: Reading): {
  readonly width: number
  readonly read: (bytes: Buffer, at: number) => number
} {
  const width = bits / 8
  if (encoding === 'float') {
    const name = `read${bits === 32 ? 'Float' : 'Double'}${bigEndian ? 'BE' : 'LE'}` as const
    return { width, read: (bytes, at) => bytes[name](at) }
  }
  const name = `read${unsigned ? 'UInt' : 'Int'}${bigEndian ? 'BE' : 'LE'}` as const
  const full = 2 ** (bits - 1)
  const middle = unsigned ? 1 : 0
  return { width, read: (bytes, at) => bytes[name](at, width) / full - middle }
}

/** What some numbers are like, in one reading. */
export interface Measured {
  readonly roughness: number
  readonly peak: number
  /** Of floating-point numbers: how many are no likely sound, as a share. */
  readonly unlikely: number
  /** How many are far beyond full scale. */
  readonly beyond: number
  /** How many different numbers there are, as far as it matters. */
  readonly values: number
  /** How many exponents of two the floating-point numbers have. */
  readonly sizes: number
  /** Shares of the numbers: near full scale, and near its middle. */
  readonly loud: number
  readonly middle: number
}

/** Of floating-point numbers as sound. */
const [QUIETEST, LOUDEST] = [1e-12, 16]
/** A square wave has few, and shows nothing. */
export const MIN_VALUES = 48
/** Far beyond the full scale of 32-bit integers, as which floating-point numbers may be meant. */
export const WILD = 1e12
/** Full scale itself is where clipped sound is, and square waves. */
const LOUD = [0.75, 0.99] as const
const MIDDLE = 0.25

/** Each number against the one before it in its channel, in pieces that begin with a whole sample. */
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
    for (let at = step; at + width <= look.length; at += width) {
      const value = tame(at)
      const size = Math.abs(value)
      roughness.add(value, tame(at - step))
      count++
      if (values.size < MIN_VALUES) values.add(value)
      if (size > peak) peak = size
      if (size > LOUD[0] && size < LOUD[1]) loud++
      if (size < MIDDLE) middle++
      if (!isFloat || size === 0) continue
      if (size > LOUDEST) beyond++
      if (size < QUIETEST || size > LOUDEST) unlikely++
      sizes.add(Math.ceil(Math.log2(size)))
    }
  }
  const share = (part: number) => (count === 0 ? 0 : part / count)
  return {
    ...{ roughness: roughness.value(), peak, values: values.size, sizes: sizes.size },
    ...{
      unlikely: share(unlikely),
      beyond: share(beyond),
      loud: share(loud),
      middle: share(middle),
    },
  }
}

/** The part of `bits` bits from byte `from` on of each number of `width` bytes, against that of the number before. */
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
  // Of eight bits those that count from 0 are as smooth as the others, but where they wrap.
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
