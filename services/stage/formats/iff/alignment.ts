import type { ByteWindow } from '../byte-window.ts'
import { CERTAIN, MANY, MIN_PEAK, SUSPECT } from './evidence.ts'
import { type Middle, swappedOf } from './other-reading.ts'
import { type Declared, MIN_VALUES, measured } from './reading.ts'

/** What the samples show about where each of their numbers begins. */
interface Alignment {
  /** All of them begin this number of bytes behind the place that the header gives. */
  readonly late?: number
  /** Every line feed has a carriage return before it: the file was sent as text. */
  readonly isText?: boolean
  /** Position among the samples, bytes, near which their beginnings change: there a byte is missing, or one too many. */
  readonly damagedAt?: number
}

/**
 * The places that are read first, as shares of the samples: from the end on, until one is no silence. What is wrong
 * before it shows there, unless a second fault undoes the first one; hence the middle, which is read anyway.
 */
const LAST_PLACES = [0.97, 0.88, 0.75]
/** Number of numbers that are read there. Sound masters are read so often that each counts. */
const FEW_NUMBERS = 1024
/** Number of places that are read if one of these is noise. */
const PLACES = 24
const LOOK_BYTES = 6144
/** Minimum number of numbers that have to be examined in a place. */
const MIN_NUMBERS = 500
/** Maximum roughness of a number that begins elsewhere than declared. */
const SOUND = 0.3
/** Number of places of sound that have to begin elsewhere. One could be chance. */
const MIN_SHIFTED = 2

/**
 * Whether numbers begin elsewhere than declared, which makes noise of sound: in the whole file, if a chunk before the
 * samples has lost a byte; or from some place on, if the samples have. It is beyond doubt where the samples are noise
 * as declared and plainly sound a byte later. Undefined: they begin where they should, or nothing proves the contrary.
 */
export async function alignment(
  window: ByteWindow,
  declared: Declared,
  middle: Middle,
): Promise<Alignment | undefined> {
  const { bits, bytes, channels, encoding } = declared
  if (bits === 8 || (encoding !== 'int' && encoding !== 'float')) return undefined
  const [look] = middle.looks
  const there = look === undefined ? 0 : shiftIn(look, declared, middle.own)
  const last = await lastPlace(window, declared)
  const mayBeText =
    last !== undefined && last.shift === undefined && isText([last.look], MIN_LINES / 4)
  const isMoved = typeof there === 'number' && there > 0
  if (!last?.shift && !isMoved && !mayBeText) return undefined
  const fresh = window.again()
  const looks: Buffer[] = []
  const found: Shifted[] = []
  if (last?.shift !== undefined) found.push({ from: last.from, shift: last.shift })
  for (let n = 0; n < PLACES; n++) {
    const from = at((n + 0.5) / PLACES, declared)
    const look = await lookAt(fresh, declared, from)
    const shift = shiftIn(look, declared)
    looks.push(look)
    if (typeof shift === 'number') found.push({ from, shift })
  }
  if (mayBeText && isText(looks, MIN_LINES)) return { isText: true }
  found.sort((a, b) => a.from - b.from)
  const shifted = found.filter(({ shift }) => shift > 0)
  const [first] = shifted
  if (first === undefined || shifted.length < MIN_SHIFTED) return undefined
  if (found.some(({ shift }) => shift !== first.shift)) {
    return { damagedAt: await changeIn(fresh, declared, found) }
  }
  if (await isSwapped(fresh, declared, found)) return undefined
  // If the last sample is whole, the length tells where a sample of all channels begins.
  const block = (bits / 8) * channels
  const rest = bytes % block
  return { late: rest % (bits / 8) === first.shift ? rest : first.shift }
}

/** A place, and how many bytes behind the declared beginning of a number one begins there. */
interface Shifted {
  readonly from: number
  readonly shift: number
}

/** The position of a place among the samples, bytes: where a whole sample begins as declared. */
function at(place: number, { bits, bytes, channels }: Declared): number {
  const block = (bits / 8) * channels
  return Math.floor((Math.max(0, bytes - LOOK_BYTES) * place) / block) * block
}

/** The last place that is no silence: what is there, and its shift. */
async function lastPlace(
  window: ByteWindow,
  declared: Declared,
): Promise<(Partial<Shifted> & { readonly from: number; readonly look: Buffer }) | undefined> {
  for (const place of LAST_PLACES) {
    const from = at(place, declared)
    const look = await lookAt(window, declared, from, (FEW_NUMBERS * declared.bits) / 8)
    const shift = shiftIn(look, declared)
    if (shift !== 'silence') return { from, look, ...(shift === undefined ? {} : { shift }) }
  }
  return undefined
}

async function shiftAt(
  window: ByteWindow,
  declared: Declared,
  from: number,
): Promise<number | undefined> {
  const shift = shiftIn(await lookAt(window, declared, from), declared)
  return shift === 'silence' ? undefined : shift
}

/**
 * How many bytes behind the declared beginning of a number one begins in these bytes: 0 as declared; undefined if they
 * are noise wherever numbers begin.
 */
function shiftIn(
  look: Buffer,
  declared: Declared,
  own = measured([look], declared, declared),
): number | 'silence' | undefined {
  const width = declared.bits / 8
  const isInt = declared.encoding === 'int'
  if (look.length < MIN_NUMBERS * width || own.values < MIN_VALUES) return 'silence'
  // Sound has negative numbers, whose highest byte is not zero. If it is, unused lower bytes have come there.
  const [lowest, highest] = declared.bigEndian ? [width - 1, 0] : [0, width - 1]
  const zeros = zerosIn(look, width)
  const hasMoved = isInt && zeros[highest] === true
  const isNoise = isInt ? own.roughness > SUSPECT : own.unlikely > MANY
  if (!isNoise && !hasMoved) return 0
  let best: number | undefined
  let smoothest = SOUND
  for (let shift = 1; shift < width; shift++) {
    const found = measured([look.subarray(shift)], declared, declared)
    const isLively = found.values >= MIN_VALUES && found.peak >= MIN_PEAK
    const isLikely = isInt
      ? found.roughness * CERTAIN < own.roughness ||
        (hasMoved && zeros[(lowest + shift) % width] === true)
      : found.unlikely * CERTAIN < own.unlikely
    if (!isLively || !isLikely || found.roughness >= smoothest) continue
    best = shift
    smoothest = found.roughness
  }
  return best
}

/** Minimum number of different places that show that a file was sent as text. Tones repeat themselves. */
const MIN_LINES = 16

/**
 * Whether these bytes were sent as text: each line feed (10) has a carriage return (13) before it, as transfers in text
 * mode leave it. Among samples one in 256 has.
 */
function isText(looks: readonly Buffer[], least: number): boolean {
  const lines = new Set<number>()
  for (const look of looks) {
    for (let at = look.indexOf(10, 4); at >= 0; at = look.indexOf(10, at + 1)) {
      if (look[at - 1] !== 13) return false
      lines.add(look.readUIntBE(at - 4, 3))
    }
  }
  return lines.size >= least
}

/** Of each byte of a number, whether it is zero in all of them. */
function zerosIn(look: Buffer, width: number): readonly boolean[] {
  const zeros = Array.from({ length: width }, () => true)
  for (let i = 0; i < look.length; i++) if (look[i] !== 0) zeros[i % width] = false
  return zeros
}

/** Whether numbers that seem to begin a byte later are smoother in the other order of bytes. */
async function isSwapped(
  window: ByteWindow,
  declared: Declared,
  found: readonly Shifted[],
): Promise<boolean> {
  const swapped = swappedOf({ roughness: 1 }, declared)
  if (swapped === undefined) return false
  const looks: Buffer[] = []
  for (const { from } of found) looks.push(await lookAt(window, declared, from))
  const [first] = found
  const shifted = looks.map((look) => look.subarray(first?.shift))
  const [inOrder, later] = [
    measured(looks, swapped, declared),
    measured(shifted, declared, declared),
  ]
  return inOrder.roughness <= later.roughness
}

/** The position near which the beginnings of numbers change for the first time, to the length of a look. */
async function changeIn(
  window: ByteWindow,
  declared: Declared,
  found: readonly Shifted[],
): Promise<number> {
  const index = found.findIndex(({ shift }, n) => n > 0 && shift !== found[n - 1]?.shift)
  const block = (declared.bits / 8) * declared.channels
  const { from, shift } = found[index - 1] as Shifted
  let low = from
  let high = (found[index] as Shifted).from
  while (high - low > LOOK_BYTES) {
    const middle = low + Math.floor((high - low) / 2 / block) * block
    const there = await shiftAt(window, declared, middle)
    // Silence and noise tell nothing.
    if (there === undefined) break
    if (there === shift) low = middle
    else high = middle
  }
  return high
}

async function lookAt(
  window: ByteWindow,
  declared: Declared,
  from: number,
  most = LOOK_BYTES,
): Promise<Buffer> {
  const { bits, bytes, channels, offset } = declared
  const block = (bits / 8) * channels
  const length = Math.min(most, bytes - from)
  return Buffer.from(await window.glance(offset + from, length - (length % block)))
}
