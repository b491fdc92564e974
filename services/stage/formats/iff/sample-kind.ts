import type { ByteWindow } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { Roughness, SMOOTH } from './roughness.ts'

/** How a header describes samples, as it is to be checked. */
interface Description {
  readonly encoding: PcmLayout['encoding']
  /** Bits that one number takes. */
  readonly bits: number
  /** Bits that are said to be used of them. */
  readonly usedBits: number
  readonly bigEndian: boolean
  readonly channels: number
  readonly offset: number
  readonly bytes: number
}

/** Where to look, as a number of places at even distances, and how far. */
const PLACES = 16
const LOOK_BYTES = 8192
/** So many numbers that are not 0 have to be seen. */
const MIN_NUMBERS = 1000

/**
 * What the samples are where that is beyond doubt, and not what the header says: integers of 32 bits that are
 * floating-point numbers, the reverse, or numbers at the lower end of wider blocks. Undefined: as the header says, or
 * nothing shows it. Most files show by their first samples that all is well: then there is no second look.
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
 * What is to be said of integers that use the lowest bits alone, where nothing in the header says so: they are read as
 * it says, for very quiet music looks the same.
 */
export async function lowNumbers(
  window: ByteWindow,
  described: Omit<Description, 'usedBits'>,
): Promise<string | undefined> {
  const { encoding, bits } = described
  // Of 24 bits quiet music has no more than 16 often enough.
  if (encoding !== 'int' || bits !== 32) return undefined
  for (const usedBits of [16, 24]) {
    const suspected = { ...described, usedBits }
    if (!(await holds(window, suspected, new LowNumbers(suspected, false)))) continue
    const quieter = Math.round(6.02 * (bits - usedBits))
    return `the header says integers of ${bits} bits, and the samples use the lowest ${usedBits} alone, so that all is ${quieter} dB quieter; they were read as the header says`
  }
  return undefined
}

/** How samples are to be read, and what is to be said of that. */
interface OtherKind {
  readonly as: Pick<PcmLayout, 'encoding' | 'lowBits'>
  readonly contradicts: string
}

const NUMBERS = { int: 'integers', float: 'floating-point numbers' }

/** What is thought of samples, while they are looked at. */
interface Suspicion {
  /** Takes the next piece; false: it is not so. */
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

/** Exponents of 32-bit numbers as they stand in them; those of 2^-63 and of 2 to 4, which sound lies between. */
const [QUIETEST, LOUDEST] = [64, 128]
const MAX_UNLIKELY = 0.02
/** In a piece of a file there may be more. */
const MAX_UNLIKELY_HERE = 0.1
const MIN_OF_A_SIGN = 0.05
/** Around a crossing of zero numbers of all sizes occur. */
const MIN_EXPONENTS = 4
const MIN_SHARE = 0.005
/** Read as what it is, sound follows more closely on what was before; noise does not either way. */
const ROUGHER = 1.2

/**
 * Integers that are floating-point numbers: as integers they would all lie between a quarter and a half of full scale
 * or below minus a half, and never cross zero.
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

/** Beyond 2^41, or no number; below 2^-87. */
const [WILD, VANISHING] = [168, 40]
const MIN_WILD = 0.1
const MIN_VANISHING = 0.05
const MIN_ODD = 0.25

/** Floating-point numbers that are integers: small negative ones are no numbers, small positive ones vanish. */
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

/** Takes the 32-bit numbers of a piece, each with the one before it in its channel. */
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

/** Fewer bits are no music; less room, and what is quiet would look the same. */
const MIN_BITS = 12
const MIN_ROOM = 8
/** Of what the bits can hold. As numbers of the whole block such peaks would be 48 to 60 dB below full scale. */
const MIN_PEAK = 0.25
/** The same where they would be 96 dB below it, and more. */
const [MUCH_ROOM, MIN_PEAK_THEN] = [16, 2 ** -8]
/** The same where the header says nothing of them, and the numbers have to be sound. */
const [MIN_PEAK_UNSAID, MIN_PEAK_UNSAID_THEN] = [0.5, 0.125]

/** Numbers of wider blocks that use their lower bits, all of which and no others. */
class LowNumbers implements Suspicion {
  readonly #most: number
  readonly #leastPeak: number
  #used = 0
  #peak = 0
  #isPadded = true
  readonly #roughness: Roughness | undefined

  /** @param isSaid whether the header says how many bits are used */
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

/** Of 32-bit numbers, by what they are said to be. */
const SUSPICIONS = { int: Floats, float: Integers }
