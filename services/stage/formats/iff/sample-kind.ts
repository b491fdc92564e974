import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { LowNumbers, MIN_BITS, MIN_ROOM } from './low-numbers.ts'
import { Roughness, SMOOTH } from './roughness.ts'
import { type Description, holds, MIN_NUMBERS, type Suspicion } from './suspicion.ts'

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

/** How samples have to be read, and the warning about it. */
interface OtherKind {
  readonly as: Pick<PcmLayout, 'encoding' | 'lowBits'>
  readonly contradicts: string
}

const NUMBERS = { int: 'integers', float: 'floating-point numbers' }

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

/** The suspicion about 32-bit numbers, by the encoding that the header says. */
const SUSPICIONS = { int: Floats, float: Integers }
