import { setImmediate } from 'node:timers/promises'
import type { FlacLayout } from '../layout.ts'
import { masterAt } from '../looks-like.ts'
import { Crc16, crc8 } from './crc.ts'
import { frameEnd } from './frame-end.ts'

/** A frame whose checksums are correct. */
export interface SoundFrame {
  readonly byte: number
  /** Position behind its last byte. */
  readonly end: number
  /** Number of its first sample. */
  readonly sample: number
  /** Number of samples in it. */
  readonly length: number
  readonly format: FrameFormat
}

/** The format in the header of a frame; 0 means as in STREAMINFO. */
export interface FrameFormat {
  readonly channels: number
  readonly bits: number
  readonly rate: number
}

/**
 * The sound frames among these bytes. Each one begins where the frame before ends, or behind bytes that are not
 * a frame. A frame is sound if its checksum is correct exactly where another header begins or the stream ends.
 *
 * Hostile bytes may consist of nothing but headers. Therefore all bytes go into one running checksum, from
 * which that of any range follows (`Crc16`), and for each header the next place with a matching key is looked
 * up. Source: RFC 9639, section 9.
 * @param ends the places among these bytes at which the stream may end
 */
export async function soundFrames(
  bytes: Uint8Array,
  ends: readonly number[],
  { streamInfo }: Pick<FlacLayout, 'streamInfo'>,
): Promise<SoundFrame[]> {
  const places = await placesIn(bytes, ends, streamInfo)
  // For each key, the next place that has it. Filled from the end.
  const next = new Int32Array(1 << 16).fill(-1)
  const after = new Int32Array(places.length)
  for (let i = places.length - 1; i >= 0; i--) {
    const { at = 0, key = 0 } = places[i] ?? {}
    after[i] = next[key] ?? -1
    next[key] = at
  }
  const frames: SoundFrame[] = []
  let free = 0
  for (const [i, { at, header }] of places.entries()) {
    const end = after[i] ?? -1
    if (end < 0 || at < free || header === undefined) continue
    frames.push({ byte: at, end, ...header })
    free = end
  }
  const last = lastBeforeJunk(bytes, ends, frames.at(-1), places, streamInfo)
  return last === undefined ? frames : [...frames, last]
}

/** The number of samples that STREAMINFO promises. */
function totalOf(streamInfo: Uint8Array): number {
  const { buffer, byteOffset } = streamInfo
  return Number(new DataView(buffer, byteOffset).getBigUint64(10) & 0xf_ffff_ffffn)
}

/**
 * The last frame if something other than a frame or a tag follows it: it ends where its subframes end. If more samples
 * are promised, the file probably ends within the frame.
 */
function lastBeforeJunk(
  bytes: Uint8Array,
  ends: readonly number[],
  before: SoundFrame | undefined,
  places: readonly Place[],
  streamInfo: Uint8Array,
): SoundFrame | undefined {
  if (before === undefined || ends.length === 0 || ends.includes(before.end)) return undefined
  const { at = 0, header } = places.find(({ at }) => at === before.end) ?? {}
  if (header?.sample !== before.sample + before.length) return undefined
  if (header.sample + header.length < totalOf(streamInfo)) return undefined
  const end = frameEnd(bytes, at, header.length, streamInfo)
  if (end === undefined) return undefined
  const crc = new Crc16(bytes)
  return crc.keyAt(end) === crc.keyAt(at) ? { byte: at, end, ...header } : undefined
}

type Header = Pick<SoundFrame, 'sample' | 'length' | 'format'>

/** A place where a frame may begin or, if it has no header, where one may end. */
interface Place {
  readonly at: number
  readonly key: number
  readonly header?: Header
}

/**
 * All places that look like a header with a correct checksum, and all places where another stream or a tag may
 * begin.
 */
async function placesIn(
  bytes: Uint8Array,
  ends: readonly number[],
  streamInfo: Uint8Array,
): Promise<readonly Place[]> {
  const block = new DataView(streamInfo.buffer, streamInfo.byteOffset).getUint16(2)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const files = FILES.flatMap(([name, before]) =>
    placesOf(text, name).flatMap((at) =>
      at < before || masterAt(text, at - before) === undefined ? [] : [at - before],
    ),
  )
  const stops = [...MARKERS.flatMap((marker) => placesOf(text, marker)), ...files, ...ends]
  stops.sort((a, b) => a - b)
  const places: Place[] = []
  const crc = new Crc16(bytes)
  let n = 0
  const stopsUpTo = (at: number) => {
    for (let stop = stops[n]; stop !== undefined && stop <= at; stop = stops[++n]) {
      places.push({ at: stop, key: crc.keyAt(stop) })
    }
  }
  for (let at = bytes.indexOf(0xff); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    const header = headerAt(bytes, at, block)
    if (header === undefined) continue
    stopsUpTo(at)
    places.push({ at, key: crc.keyAt(at), header })
    if (places.length % PLACES_AT_ONCE === 0) await setImmediate()
  }
  stopsUpTo(bytes.length)
  return places
}

/** Number of places after which other work gets a turn: a few milliseconds. */
const PLACES_AT_ONCE = 10_000

/** The beginnings of FLAC streams and of tags. */
const MARKERS = ['fLaC\0\0\0\x22', 'ID3\x02\0', 'ID3\x03\0', 'ID3\x04\0', 'TAG', 'APETAGEX']
/** The beginnings of other kinds of files, with their offset in the file. */
const FILES = [
  ...(['WAVE', 'AIFF', 'AIFC'] as const).map((name) => [name, 8] as const),
  ...([
    ['ftyp', 4],
    ['OggS\0\x02', 0],
  ] as const),
] as const

/**
 * Minimum distance of markers: the length of an ID3v1 tag, which has the shortest marker. Markers closer to
 * each other are text.
 */
const APART_BYTES = 128

function placesOf(text: Buffer, marker: string): number[] {
  const places: number[] = []
  let at = text.indexOf(marker, 0, 'latin1')
  while (at >= 0) {
    places.push(at)
    at = text.indexOf(marker, at + APART_BYTES, 'latin1')
  }
  return places
}

function headerAt(view: Uint8Array, at: number, block: number): Header | undefined {
  const [b1 = 0, b2 = 0, b3 = 0] = view.subarray(at + 1, at + 4)
  if ((b1 & 0xfe) !== 0xf8 || (b3 & 1) !== 0) return undefined
  const channels = b3 >> 4
  const bits = BITS[(b3 >> 1) & 7]
  if (channels > 10 || bits === undefined) return undefined
  const size = b2 >> 4
  const rate = b2 & 15
  if (size === 0 || rate === 15) return undefined
  const number = codedNumber(view, at + 4)
  if (number === undefined) return undefined
  let next = number.end
  let length = size === 1 ? 192 : size < 6 ? 576 << (size - 2) : 256 << (size - 8)
  if (size === 6) length = (view[next++] ?? 0) + 1
  if (size === 7) length = (view[next++] ?? 0) * 256 + (view[next++] ?? 0) + 1
  let hz = RATES[rate] ?? 0
  if (rate === 12) hz = (view[next++] ?? 0) * 1000
  if (rate > 12) hz = ((view[next++] ?? 0) * 256 + (view[next++] ?? 0)) * (rate === 13 ? 1 : 10)
  if (next >= view.length || crc8(view, at, next) !== view[next]) return undefined
  // With blocks of a fixed size, frames are numbered and not samples. Only the last block may be shorter.
  const sample = (b1 & 1) === 1 ? number.value : number.value * block
  const format = { channels: channels < 8 ? channels + 1 : 2, bits, rate: hz }
  return { sample, length, format }
}

/** The bits of each code in a header; 0: as in STREAMINFO; undefined: reserved. */
const BITS = [0, 8, 12, undefined, 16, 20, 24, 32]
const RATES = [
  ...[0, 88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000],
  ...[32_000, 44_100, 48_000, 96_000],
]

/** Decodes a number of up to 36 bits that is coded like UTF-8. */
function codedNumber(view: Uint8Array, at: number): { value: number; end: number } | undefined {
  const first = view[at] ?? 0xff
  if (first < 0x80) return { value: first, end: at + 1 }
  const more = Math.clz32(~(first << 24)) - 1
  if (more < 1 || more > 6) return undefined
  let value = first & (0x3f >> more)
  for (let i = 1; i <= more; i++) {
    const byte = view[at + i] ?? 0
    if ((byte & 0xc0) !== 0x80) return undefined
    value = value * 64 + (byte & 0x3f)
  }
  return { value, end: at + 1 + more }
}
