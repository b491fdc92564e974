import { masterBehind } from '../behind.ts'
import { type ByteWindow, fourCc, unreadable } from '../byte-window.ts'
import { masterWithin } from '../master-within.ts'
import { startsChunk, TRAILERS } from './chunks.ts'
import type { SoundSize } from './sound.ts'

/** The sizes in a header that concern its samples. */
export interface SizeClaims {
  /** The name in messages, for example `WAV`. */
  readonly container: string
  readonly littleEndian: boolean
  /** Position of the samples, bytes. */
  readonly offset: number
  /** The size in the chunk's own 32 bits, bytes. */
  readonly said: number
  /** The size by 64 bits elsewhere (`ds64`), or by the number of samples, bytes. Absent or 0 if there is none. */
  readonly long?: number | undefined
  /** The end of the file by its outermost size. Undefined if there is none. */
  readonly outerEnd: number | undefined
}

const WRAP = 2 ** 32
/**
 * Placeholders of writers that cannot come back to fill in a size: all bits, the largest signed number, and
 * those of SoX (wav.c and aiff.c, for pipes). Some writers add the size of what precedes the samples.
 */
const UNKNOWN = [0xffffffff, 0x7fffffff, 0x80000000, 0x7ffff000, 0x7f000000]
/** Placeholders of 64 bits: all bits, or that minus a header. */
const [UNKNOWN_64, HEADER_BYTES] = [2 ** 64, 8192]
/** Maximum size of zeros that fill up the last sector of a file, bytes. They have no meaning. */
const FILL_BYTES = 4096

/**
 * The number of bytes of samples. If the sizes in the header contradict each other or the file, the size counts
 * at whose end the file ends or another chunk begins.
 * @throws PermanentError MASTER_UNREADABLE when no size fits, and more bytes follow than are counted
 */
export async function soundSize(window: ByteWindow, claims: SizeClaims): Promise<SoundSize> {
  const size = await withoutAnother(window, claims, await sizeOf(window, claims))
  const end = claims.offset + size.bytes
  if (size.leftOut !== undefined || end + 8 > window.bytes) return size
  const next = fourCc(await window.view(end, 4, 'a chunk'))
  const what = FILES.includes(next)
    ? 'file'
    : SOUNDS.includes(next)
      ? 'chunk of samples'
      : undefined
  if (what === undefined) return size
  const leftOut = `behind the samples of the ${claims.container} another ${what} begins ("${next}"), and ${window.bytes - end} bytes were left out`
  return { ...size, leftOut }
}

/** Cuts the samples where another file begins within them, if they are searched. */
async function withoutAnother(
  window: ByteWindow,
  { container, offset, said, long = said }: SizeClaims,
  size: SoundSize,
): Promise<SoundSize> {
  const isCounted = said > 0 && !isPlaceholder(said, offset) && long > 0
  const range = { start: offset, end: offset + size.bytes }
  const other = await masterWithin(window, range, isCounted ? SHORT_BYTES : MAX_LOOKED_BYTES)
  if (other === undefined) return size
  const { name, at } = other
  const leftOut = `within the samples of the ${container}, at byte ${at}, another file begins (${name}), and ${window.bytes - at} bytes were left out`
  const { contradicts } = size
  const bytes = at - offset
  return { bytes, leftOut, ...(contradicts === undefined ? {} : { contradicts }) }
}

/**
 * Samples up to this size are searched for another file, bytes; samples without a valid size, up to
 * `MAX_LOOKED_BYTES`.
 */
const SHORT_BYTES = 4 << 20
const MAX_LOOKED_BYTES = 16 << 20

/** The beginnings of other files, and of other chunks of samples. */
const FILES = ['RIFF', 'RIFX', 'RF64', 'BW64', 'FORM', 'fLaC', 'OggS', 'caff']
const SOUNDS = ['data', 'SSND']

async function sizeOf(window: ByteWindow, claims: SizeClaims): Promise<SoundSize> {
  const { said, container, offset, outerEnd } = claims
  const there = Math.max(0, window.bytes - offset)
  const long =
    claims.long === undefined || claims.long > UNKNOWN_64 - HEADER_BYTES ? 0 : claims.long
  if (long > 0 && long !== said) {
    if (said === 0 || isPlaceholder(said, offset)) return believed(window, claims, long, false)
    const contradicts = `the ${container} counts ${long} bytes of samples in one place and ${said} in another`
    const isWrapped = long % WRAP === said
    if (isWrapped || (await fits(window, claims, long))) {
      const size = await believed(window, claims, long, false)
      return { ...size, contradicts: `${contradicts}; the first is right` }
    }
    if (await fits(window, claims, said)) {
      return { bytes: said, contradicts: `${contradicts}; the second is right` }
    }
    if (Math.min(long, said) >= there) {
      return { bytes: there, promised: Math.min(long, said), contradicts }
    }
    throw unreadable(offset, contradicts, `one of them to fit the ${there} that follow`)
  }
  if (said === 0) {
    if (await chunkAt(window, claims, offset)) return { bytes: 0 }
    const isEmptied = Math.abs((outerEnd ?? 0) - window.bytes) <= 1 && there > 1
    const contradicts = `the ${container} counts no bytes of samples, and ${there} follow, as many as its outer size says; all were taken`
    return isEmptied ? { bytes: there, contradicts } : { bytes: there }
  }
  if (isPlaceholder(said, offset)) return { bytes: there }
  return believed(window, claims, said, true)
}

/** The result for a size that nothing else in the header contradicts. */
async function believed(
  window: ByteWindow,
  claims: SizeClaims,
  size: number,
  mayWrap: boolean,
): Promise<SoundSize> {
  const { container, offset, outerEnd } = claims
  const there = Math.max(0, window.bytes - offset)
  if (size > there) {
    // Some writers include the header in the size.
    const isHeaderIn = size === window.bytes || size === window.bytes - 8
    const contradicts = `the ${container} counts its header among its samples`
    return isHeaderIn ? { bytes: there, contradicts } : { bytes: there, promised: size }
  }
  const rest = there - size
  const said = `the ${container} counts ${size} bytes of samples, and ${rest} more follow`
  if (mayWrap && rest >= WRAP) {
    for (let whole = size + rest - (rest % WRAP); whole > size; whole -= WRAP) {
      if (!(await fits(window, claims, whole))) continue
      const why = `${said}: its size is modulo 4 GiB; ${whole} bytes were taken`
      return { bytes: whole, contradicts: why }
    }
  } else if (await fits(window, claims, size)) return { bytes: size }
  const isOuterRight =
    outerEnd !== undefined && Math.abs(outerEnd - window.bytes) % WRAP <= 1 && rest > 1
  if (isOuterRight && (rest >= FILL_BYTES || rest >= size)) {
    return { bytes: there, contradicts: `${said}, as its outer size says; all were taken` }
  }
  if (await isFill(window, offset + size, rest)) return { bytes: size }
  // `behindSound` reports it.
  if ((await masterBehind(window, offset + size)) !== undefined) return { bytes: size }
  if (rest > size) {
    throw unreadable(offset, `${said} that are no chunk`, 'a size that fits the file')
  }
  return { bytes: size, leftOut: `${said} that are no chunk; those were left out` }
}

/** Whether the file ends behind `size` bytes of samples, or continues with a chunk. */
async function fits(window: ByteWindow, claims: SizeClaims, size: number): Promise<boolean> {
  const end = claims.offset + size
  if (end > window.bytes) return false
  if (window.bytes - end <= 1) return true
  if (await chunkAt(window, claims, end)) return true
  return size % 2 === 1 && (await chunkAt(window, claims, end + 1))
}

async function chunkAt(
  window: ByteWindow,
  { littleEndian }: SizeClaims,
  at: number,
): Promise<boolean> {
  if (at + 8 > window.bytes) return false
  if (await startsChunk(window, at, littleEndian)) return true
  return TRAILERS.test(fourCc(await window.view(at, 4, 'a chunk')))
}

/** Whether these bytes are a tag that a tool has appended, or zeros that fill up a sector. */
async function isFill(window: ByteWindow, at: number, bytes: number): Promise<boolean> {
  if (bytes < 8) return true
  const head = await window.glance(at, Math.min(bytes, FILL_BYTES))
  const text = Buffer.from(head.subarray(0, 9)).toString('latin1')
  // A padding byte may precede the tag.
  if (/^\0?(TAG|ID3|APETAGEX|LYRICSBE)/.test(text)) return true
  return bytes <= FILL_BYTES && head.every((byte) => byte === 0)
}

/** Whether a size is a placeholder for an unknown one. */
export function isUnknown(size: number): boolean {
  return UNKNOWN.includes(size)
}

/**
 * Whether a size is a placeholder, also of writers that include the header, or the header behind the RIFF size.
 * @param offset position of the samples, bytes
 */
function isPlaceholder(size: number, offset: number): boolean {
  return [size, size + offset, size + offset - 8].some(isUnknown)
}
