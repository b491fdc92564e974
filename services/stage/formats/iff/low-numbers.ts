import type { ByteWindow } from '../byte-window.ts'
import { Roughness, SMOOTH } from './roughness.ts'
import { type Description, holds, MIN_NUMBERS, type Suspicion } from './suspicion.ts'

/**
 * A warning about integers that use only the lowest bits. They are read as the header says, because very quiet music
 * looks much the same: what tells is that the header gives that number of bits; that sound is clipped at the limits of
 * fewer bits; or a peak 96 dB below full scale.
 * @param peak the peak in the middle, as a share of full scale
 */
export async function lowNumbers(
  window: ByteWindow,
  described: Description,
  peak: number,
): Promise<string | undefined> {
  const { encoding, bits, usedBits } = described
  if (encoding !== 'int' || bits === 8 || peak > 2 ** -MIN_CLIPPED_ROOM) return undefined
  const quieter = (used: number) =>
    `the header says integers of ${usedBits} bits, and the samples use the lowest ${used} of ${bits} alone, so that all is ${Math.round(6.02 * (bits - used))} dB quieter; they were read as the header says`
  const isSaid = usedBits >= MIN_BITS && bits - usedBits >= MIN_CLIPPED_ROOM
  for (const used of [...(isSaid ? [usedBits] : []), ...(bits === 32 ? [16] : [])]) {
    const suspected = { ...described, usedBits: used }
    if (await holds(window, suspected, new LowNumbers(suspected, false))) return quieter(used)
  }
  const clipped = new ClippedLow()
  return (await holds(window, described, clipped)) ? quieter(clipped.usedBits) : undefined
}

/**
 * Minimum number of used bits, below which nothing is music, and of unused bits, below which quiet music would
 * look the same.
 */
export const MIN_BITS = 12
export const MIN_ROOM = 8
/**
 * Minimum peak, as a share of what the used bits can hold. Read as numbers of the whole container, such a peak
 * would be 48 to 60 dB below full scale.
 */
const MIN_PEAK = 0.25
/**
 * Number of unused bits from which a lower peak suffices, and that peak. It would be 96 dB or more below full
 * scale.
 */
const [MUCH_ROOM, MIN_PEAK_THEN] = [16, 2 ** -8]
/** Minimum peaks if the header does not mention unused bits. The numbers then have to be smooth as well. */
const [MIN_PEAK_UNSAID, MIN_PEAK_UNSAID_THEN] = [0.5, 0.125]

/** The suspicion that numbers use all of the lower bits of wider containers, and no others. */
export class LowNumbers implements Suspicion {
  readonly #most: number
  readonly #leastPeak: number
  #used = 0
  #peak = 0
  #isPadded = true
  readonly #roughness: Roughness | undefined

  /** @param isSaid whether the header says how many bits are in use */
  constructor({ bits, usedBits }: Description, isSaid = true) {
    this.#most = 2 ** (usedBits - 1)
    const isRoomy = bits - usedBits >= MUCH_ROOM
    const [some, much] = isSaid
      ? [MIN_PEAK, MIN_PEAK_THEN]
      : [MIN_PEAK_UNSAID, MIN_PEAK_UNSAID_THEN]
    this.#leastPeak = this.#most * (isRoomy ? much : some)
    if (!isSaid) this.#roughness = new Roughness()
  }

  look(piece: DataView, { bits, usedBits, bigEndian, channels }: Description): boolean {
    const width = bits / 8
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const padding = 2 ** (bits - usedBits)
    const valueAt = (at: number) =>
      bigEndian ? bytes.readIntBE(at, width) : bytes.readIntLE(at, width)
    const step = width * channels
    for (let at = 0; at < bytes.length; at += width) {
      const value = valueAt(at)
      if (at >= step) this.#roughness?.add(value, valueAt(at - step))
      if (value === 0) continue
      if (value < -this.#most || value >= this.#most) return false
      if (value % padding !== 0) this.#isPadded = false
      this.#used++
      this.#peak = Math.max(this.#peak, Math.abs(value))
    }
    return true
  }

  isCertain(): boolean {
    if ((this.#roughness?.value() ?? 0) > SMOOTH) return false
    return this.#used >= MIN_NUMBERS && this.#peak >= this.#leastPeak && !this.#isPadded
  }
}

/** Minimum number of unused bits of clipped numbers. Programs make sound 6 or 12 dB quieter by shifting its bits. */
const MIN_CLIPPED_ROOM = 4
/** Minimum number of numbers at each of the two limits. */
const MIN_CLIPPED = 4
const MIN_CLIPPED_BITS = 8

/**
 * The suspicion that numbers were clipped to fewer bits than they have, and stand at the lower end: none is beyond
 * -2^n and 2^n - 1, and several are at each.
 */
class ClippedLow implements Suspicion {
  readonly #roughness = new Roughness()
  #least = 0
  #most = 0
  #used = 0
  #atLeast = 0
  #atMost = 0

  look(piece: DataView, { bits, bigEndian, channels }: Description): boolean {
    const width = bits / 8
    const limit = 2 ** (bits - 1 - MIN_CLIPPED_ROOM)
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    const valueAt = (at: number) =>
      bigEndian ? bytes.readIntBE(at, width) : bytes.readIntLE(at, width)
    const step = width * channels
    for (let at = 0; at < bytes.length; at += width) {
      const value = valueAt(at)
      if (value < -limit || value >= limit) return false
      if (at >= step) this.#roughness.add(value, valueAt(at - step))
      if (value !== 0) this.#used++
      if (value < this.#least) [this.#least, this.#atLeast] = [value, 0]
      if (value > this.#most) [this.#most, this.#atMost] = [value, 0]
      if (value === this.#least) this.#atLeast++
      if (value === this.#most) this.#atMost++
    }
    return true
  }

  get usedBits(): number {
    return 1 + Math.log2(-this.#least)
  }

  isCertain(): boolean {
    const { usedBits } = this
    return (
      this.#used >= MIN_NUMBERS &&
      this.#most === -this.#least - 1 &&
      Number.isInteger(usedBits) &&
      usedBits >= MIN_CLIPPED_BITS &&
      Math.min(this.#atLeast, this.#atMost) >= MIN_CLIPPED &&
      this.#roughness.value() <= SMOOTH
    )
  }
}
