import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { Roughness, SMOOTH } from './roughness.ts'

/** Samples that may be numbers of different widths. */
interface Readings {
  readonly encoding: PcmLayout['encoding']
  readonly bigEndian: boolean
  /** Whether 8-bit numbers count from 0. */
  readonly unsigned8: boolean
  readonly channels: number
  readonly offset: number
  readonly bytes: number
  /** The possible widths of a number, bytes; at least two. */
  readonly widths: readonly number[]
}

/** The places that are read, as shares of the samples. Music may begin and end with silence. */
const PLACES = [0, 0.2, 0.5, 0.8]
const LOOK_BYTES = 8192
/** How many times smoother one reading has to be than the other. */
const CERTAIN = 3
/** Maximum ratio of the powers of the parts of a number, if these are numbers of their own. */
const ALIKE = 1.5
/** The range of the power of uniform noise between -1 and 1, which the lower parts of a number are. */
const UNIFORM = [0.25, 0.42] as const

/**
 * Finds the width of the numbers from the samples alone: with `isPadded`, the lowest byte of each number is
 * zero, as in 24 bits of 32; else the width at which the samples are sound. `silence` and `noise`: the samples
 * do not show it.
 */
export async function sampleWidth(
  window: ByteWindow,
  readings: Readings,
): Promise<{ readonly width: number; readonly isPadded: boolean } | 'silence' | 'noise'> {
  const looks = await looksAt(window, readings)
  if (looks.every((look) => look.every((byte) => byte === look[0]))) return 'silence'
  const widths = readings.widths.toSorted((a, b) => a - b)
  const padded = widths.findLast(
    (width, index) => index > 0 && isPadded(looks, width, readings),
  )
  if (readings.encoding === 'int' && padded !== undefined)
    return { width: padded, isPadded: true }
  const width = widths.find((one) =>
    widths.every((other) => other === one || isMoreLikely(looks, one, other, readings)),
  )
  return width === undefined ? 'noise' : { width, isPadded: false }
}

async function looksAt(
  window: ByteWindow,
  { channels, offset, bytes, widths }: Readings,
): Promise<readonly Buffer[]> {
  // Number of bytes that is a whole number of samples at each width.
  const step = channels * widths.reduce((product, width) => product * width, 1)
  const looks: Buffer[] = []
  for (const place of PLACES) {
    const at = Math.floor((bytes * place) / step) * step
    const length = Math.min(LOOK_BYTES, bytes - at)
    if (length >= 2 * step)
      looks.push(Buffer.from(await window.glance(offset + at, length - (length % step))))
  }
  return looks
}

/** Whether the lowest byte of each number is zero. */
function isPadded(looks: readonly Buffer[], width: number, { bigEndian }: Readings): boolean {
  const lowest = bigEndian ? width - 1 : 0
  return looks.every((look) => {
    for (let at = lowest; at < look.length; at += width) if (look[at] !== 0) return false
    return true
  })
}

function isMoreLikely(
  looks: readonly Buffer[],
  one: number,
  other: number,
  readings: Readings,
): boolean {
  const [narrow, wide] = [Math.min(one, other), Math.max(one, other)]
  // If neither width divides the other, sound read at the wrong width is noise.
  if (wide % narrow !== 0)
    return (
      roughnessOf(looks, one, readings).value() * CERTAIN <
      roughnessOf(looks, other, readings).value()
    )
  if (readings.encoding === 'float') {
    const share = plausibleShare(looks, readings)
    return one === narrow ? share > 0.97 : share < 0.9
  }
  // Every second number of a sound is a sound, too; but the lower half of a number is noise of full power.
  if (one === narrow) {
    const parts = partsOf(looks, narrow, wide, readings)
    const powers = parts.map((part) => part.power())
    const isAlike = Math.max(...powers) < ALIKE * Math.min(...powers)
    const isSmooth = parts.every((part) => part.value() < SMOOTH)
    return isSmooth || (isAlike && !powers.every(isUniform))
  }
  const parts = partsOf(looks, narrow, wide, { ...readings, unsigned8: false })
  const powers = parts.map((part) => part.power())
  const top = powers[readings.bigEndian ? 0 : powers.length - 1] as number
  const lower = powers.filter((power) => power !== top)
  return lower.length > 0 && lower.every((power) => isUniform(power) && power > ALIKE * top)
}

/**
 * Share of plausible samples among the lower halves of doubles, read as 32-bit floats. The lower half of a
 * double is arbitrary, or zero in all of them.
 */
function plausibleShare(looks: readonly Buffer[], { bigEndian }: Readings): number {
  let [plausible, count, used] = [0, 0, 0]
  for (const look of looks) {
    for (let at = bigEndian ? 4 : 0; at + 4 <= look.length; at += 8) {
      const value = Math.abs(look[bigEndian ? 'readFloatBE' : 'readFloatLE'](at))
      if (value === 0 || (value > 1e-12 && value <= 16)) plausible++
      if (value !== 0) used++
      count++
    }
  }
  return used === 0 ? 0 : plausible / count
}

function isUniform(power: number): boolean {
  return power > UNIFORM[0] && power < UNIFORM[1]
}

/** The roughness of the first, second, … number of `narrow` bytes in each number of `wide` bytes. */
function partsOf(
  looks: readonly Buffer[],
  narrow: number,
  wide: number,
  readings: Readings,
): readonly Roughness[] {
  return Array.from({ length: wide / narrow }, (_, part) =>
    roughnessOf(looks, narrow, readings, { from: part * narrow, every: wide }),
  )
}

/** The roughness of numbers of `width` bytes, one in every `every` bytes. */
function roughnessOf(
  looks: readonly Buffer[],
  width: number,
  readings: Readings,
  { from = 0, every = width } = {},
): Roughness {
  const roughness = new Roughness()
  const step = every * readings.channels
  for (const look of looks) {
    for (let at = from + step; at < look.length; at += every) {
      const before = valueAt(look, at - step, width, readings)
      roughness.add(valueAt(look, at, width, readings), before)
    }
  }
  return roughness
}

function valueAt(
  look: Buffer,
  at: number,
  width: number,
  { encoding, bigEndian, unsigned8 }: Readings,
): number {
  if (encoding === 'float') {
    const isSingle = width === 4
    const value = isSingle
      ? look[bigEndian ? 'readFloatBE' : 'readFloatLE'](at)
      : look[bigEndian ? 'readDoubleBE' : 'readDoubleLE'](at)
    // NaN and values far beyond full scale are not sound.
    return Math.abs(value) <= 1000 ? value : 1000
  }
  if (width === 1) return unsigned8 ? look.readUInt8(at) / 128 - 1 : look.readInt8(at) / 128
  const value = bigEndian ? look.readIntBE(at, width) : look.readIntLE(at, width)
  return value / 2 ** (8 * width - 1)
}
