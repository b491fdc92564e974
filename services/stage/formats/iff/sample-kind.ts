import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { Roughness, SMOOTH } from './roughness.ts'

/** The description of samples in a header, which is to be checked. */
interface Description {
  readonly encoding: PcmLayout['encoding']
  /** Bits that one number occupies. */
  readonly bits: number
  /** Bits of them that are in use according to the header. */
  readonly usedBits: number
  readonly bigEndian: boolean
  readonly channels: number
  readonly offset: number
  readonly bytes: number
}

/** Number of evenly spaced places that are read, and number of bytes at each. */
const PLACES = 16
const LOOK_BYTES = 8192
/** Minimum number of non-zero numbers that have to be examined. */
const MIN_NUMBERS = 1000

/**
 * How samples have to be read if they are clearly not what the header says: integers of 32 bits that are
 * floating-point numbers, the reverse, or numbers at the lower end of wider containers. Undefined: they are as
 * the header says, or nothing proves the contrary. In most files the first samples show that the header is
 * right, and no others are read.
 */
export async function otherKind(
  window: ByteWindow,
  described: Description,
): Promise<OtherKind | undefined> {
  const { encoding, bits, usedBits } = described
  if (encoding !== 'int' && encoding !== 'float') return undefined
  const isWord = bits === 32 && usedBits === 32
  if (isWord && (await holds(window, described, new SUSPICIONS[encoding]()))) {
    const other = encoding === 'int' ? 'float' : 'int'
    const contradicts = `the header says ${NUMBERS[encoding]} of 32 bits, and the samples are ${NUMBERS[other]}; they were read as such`
    return { as: { encoding: other }, contradicts }
  }
  const isWider = usedBits >= MIN_BITS && bits - usedBits >= MIN_ROOM
  if (encoding === 'float' || !isWider) return undefined
  if (!(await holds(window, described, new LowNumbers(described)))) return undefined
  const contradicts = `the header says numbers of ${usedBits} bits in blocks of ${bits}, and they stand at the lower end of these; they were read as such`
  return { as: { encoding, lowBits: usedBits }, contradicts }
}

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

/** How samples have to be read, and the warning about it. */
interface OtherKind {
  readonly as: Pick<PcmLayout, 'encoding' | 'lowBits'>
  readonly contradicts: string
}

const NUMBERS = { int: 'integers', float: 'floating-point numbers' }

/** A suspicion about samples, tested piece by piece. */
interface Suspicion {
  /** Tests the next piece. Returns false if the suspicion is wrong. */
  look(piece: DataView, described: Description): boolean
  isCertain(): boolean
}

async function holds(
  window: ByteWindow,
  described: Description,
  suspicion: Suspicion,
): Promise<boolean> {
  const { offset, bytes, bits, channels } = described
  const block = (bits / 8) * channels
  let before = -1
  for (let place = 0; place < PLACES; place++) {
    const at = Math.floor((bytes * place) / PLACES / block) * block
    if (at === before) continue
    before = at
    const length = Math.min(LOOK_BYTES, bytes - at)
    const piece = await window.glance(offset + at, length - (length % block))
    const view = new DataView(piece.buffer, piece.byteOffset, piece.length)
    if (!suspicion.look(view, described)) return false
  }
  return suspicion.isCertain()
}

/** The biased exponents of 2^-63 and of 2 to 4, between which sound lies. */
const [QUIETEST, LOUDEST] = [64, 128]
const MAX_UNLIKELY = 0.02
/** Maximum share of unlikely numbers in one piece. It is larger than in the whole. */
const MAX_UNLIKELY_HERE = 0.1
const MIN_OF_A_SIGN = 0.05
/** Near zero crossings numbers of all magnitudes occur. */
const MIN_EXPONENTS = 4
const MIN_SHARE = 0.005
/** In the right reading sound is smoother; noise is equally rough in both. */
const ROUGHER = 1.2

/**
 * The suspicion that integers are floating-point numbers. Read as integers, these would all lie between a
 * quarter and a half of full scale or below minus a half, and never cross zero.
 */
class Floats implements Suspicion {
  readonly #asIntegers = new Roughness()
  readonly #asFloats = new Roughness()
  #used = 0
  #unlikely = 0
  #negative = 0
  readonly #exponents = new Uint32Array(256)

  look(piece: DataView, { bigEndian, channels }: Description): boolean {
    let [used, unlikely] = [0, 0]
    addAll(this.#asIntegers, piece, channels, (at) => piece.getInt32(at, !bigEndian))
    addAll(this.#asFloats, piece, channels, (at) => piece.getFloat32(at, !bigEndian))
    for (let at = 0; at < piece.byteLength; at += 4) {
      const word = piece.getUint32(at, !bigEndian)
      if ((word & 0x7fff_ffff) === 0) continue
      const exponent = (word >>> 23) & 0xff
      used++
      if (exponent < QUIETEST || exponent > LOUDEST) unlikely++
      if (word >= 0x8000_0000) this.#negative++
      this.#exponents[exponent] = (this.#exponents[exponent] ?? 0) + 1
    }
    this.#used += used
    this.#unlikely += unlikely
    return unlikely <= MAX_UNLIKELY_HERE * used
  }

  isCertain(): boolean {
    const used = this.#used
    const sizes = this.#exponents.filter((count) => count > MIN_SHARE * used).length
    const rarer = Math.min(this.#negative, used - this.#negative)
    return (
      used >= MIN_NUMBERS &&
      this.#unlikely <= MAX_UNLIKELY * used &&
      rarer >= MIN_OF_A_SIGN * used &&
      sizes >= MIN_EXPONENTS &&
      this.#asFloats.value() < ROUGHER * this.#asIntegers.value()
    )
  }
}

/**
 * Biased exponents: of 2^41, from which numbers are too large, infinite or NaN; and of 2^-87, below which they
 * are too small.
 */
const [WILD, VANISHING] = [168, 40]
const MIN_WILD = 0.1
const MIN_VANISHING = 0.05
const MIN_ODD = 0.25

/**
 * The suspicion that floating-point numbers are integers. Read as floating-point numbers, small negative
 * integers are NaN and small positive ones almost zero.
 */
class Integers implements Suspicion {
  readonly #asIntegers = new Roughness()
  #used = 0
  #wild = 0
  #odd = 0

  look(piece: DataView, { bigEndian, channels }: Description): boolean {
    let [used, odd] = [0, 0]
    addAll(this.#asIntegers, piece, channels, (at) => piece.getInt32(at, !bigEndian))
    for (let at = 0; at < piece.byteLength; at += 4) {
      const word = piece.getUint32(at, !bigEndian)
      if (word === 0) continue
      const exponent = (word >>> 23) & 0xff
      used++
      if (exponent >= WILD) this.#wild++
      if (exponent >= WILD || exponent <= VANISHING) odd++
    }
    this.#used += used
    this.#odd += odd
    return odd >= MIN_WILD * used
  }

  isCertain(): boolean {
    const used = this.#used
    return (
      used >= MIN_NUMBERS &&
      this.#wild >= MIN_WILD * used &&
      this.#odd >= MIN_ODD * used &&
      this.#odd - this.#wild >= MIN_VANISHING * used &&
      this.#asIntegers.value() < SMOOTH
    )
  }
}

/** Adds the 32-bit numbers of a piece, each with the one before it in its channel. */
function addAll(
  roughness: Roughness,
  piece: DataView,
  channels: number,
  valueAt: (at: number) => number,
): void {
  const step = 4 * channels
  for (let at = step; at < piece.byteLength; at += 4) {
    roughness.add(valueAt(at), valueAt(at - step))
  }
}

/**
 * Minimum number of used bits, below which nothing is music, and of unused bits, below which quiet music would
 * look the same.
 */
const MIN_BITS = 12
const MIN_ROOM = 8
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
class LowNumbers implements Suspicion {
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

/** The suspicion about 32-bit numbers, by the encoding that the header says. */
const SUSPICIONS = { int: Floats, float: Integers }
