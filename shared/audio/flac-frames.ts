import type { ByteRanges } from './byte-window.ts'
import type { FlacLayout } from './layout.ts'

/** Where a frame begins. */
export interface FlacFrame {
  readonly byte: number
  /** Number of its first sample. */
  readonly sample: number
  /** How many samples it holds. */
  readonly length: number
}

const WINDOW_BYTES = 128 << 10
/** No frame is longer: eight channels of 65,535 samples of 32 bits, stored as they are, and a little more. */
const MOST_FRAME_BYTES = 4 << 20
const MOST_PROBES = 60

/**
 * The frame that holds a sample: found by its number, which every frame carries, without decoding what is before it.
 * In a damaged stream it is the last sound one before the sample.
 * Source: RFC 9639, section 9.
 */
export async function flacFrameAt(
  file: ByteRanges,
  layout: FlacLayout & { readonly samples: number },
  sample: number,
  signal?: AbortSignal,
): Promise<FlacFrame> {
  let low: FlacFrame = { byte: layout.offset, sample: 0, length: 0 }
  let high = { byte: file.bytes, sample: layout.samples }
  for (let n = 0; high.byte - low.byte > 2 * WINDOW_BYTES && n < MOST_PROBES; n++) {
    const share = (sample - low.sample) / Math.max(1, high.sample - low.sample)
    // Music is not equally dense: where guessing by length gains little, halving does not either take long.
    const guess = n % 3 === 2 ? 0.5 : Math.min(0.98, Math.max(0, share - 0.01))
    const from = low.byte + Math.floor(guess * (high.byte - low.byte))
    const frames = await framesFrom(file, layout, from, signal)
    const first = frames[0]
    if (first === undefined || first.byte >= high.byte) {
      high = { ...high, byte: from }
      continue
    }
    const last = frames.findLast((frame) => frame.sample <= sample)
    if (last === undefined)
      high = first.byte > from ? { byte: from, sample: first.sample } : first
    else {
      if (sample < last.sample + last.length) return last
      low = last
    }
  }
  for (let from = low.byte; ; ) {
    const frames = await framesFrom(file, layout, from, signal)
    const last = frames.findLast((frame) => frame.sample <= sample)
    if (last === undefined) return low
    low = last
    if (sample < last.sample + last.length || last.byte === from || last !== frames.at(-1)) {
      return low
    }
    from = last.byte
  }
}

/** How many samples a stream holds, by its last sound frame; 0 when there is none near its end. */
export async function flacLength(
  file: ByteRanges,
  layout: FlacLayout,
  signal?: AbortSignal,
): Promise<number> {
  for (let bytes = WINDOW_BYTES; ; bytes *= 4) {
    const from = Math.max(layout.offset, file.bytes - bytes)
    const last = (await framesFrom(file, layout, from, signal)).at(-1)
    if (last !== undefined) return last.sample + last.length
    if (from === layout.offset || bytes > MOST_FRAME_BYTES) return 0
  }
}

/** The sound frames of the window at `from`; one that goes on behind its end is left out. */
async function framesFrom(
  file: ByteRanges,
  layout: FlacLayout,
  from: number,
  signal: AbortSignal | undefined,
): Promise<FlacFrame[]> {
  for (let bytes = WINDOW_BYTES; ; bytes *= 4) {
    const end = Math.min(file.bytes, from + bytes)
    const view = await file.read(from, end, signal)
    const headers = headersIn(view, layout)
    const frames: FlacFrame[] = []
    for (let i = 0; i < headers.length; ) {
      const found = headers[i]
      if (found === undefined) break
      const next = nextOf(view, headers, i, end === file.bytes)
      if (next === undefined) i++
      else {
        const { sample, length } = found.header
        frames.push({ byte: from + found.at, sample, length })
        i = next
      }
    }
    if (frames.length > 0 || end === file.bytes || bytes > MOST_FRAME_BYTES) return frames
  }
}

/** The index of the header that follows a sound frame; undefined when the frame is damaged, cut off or none at all. */
function nextOf(
  view: Uint8Array,
  headers: readonly Found[],
  index: number,
  isEnd: boolean,
): number | undefined {
  const start = headers[index]?.at ?? 0
  let crc = 0
  let at = start
  for (let next = index + 1; next < headers.length && next < index + 8; next++) {
    const end = headers[next]?.at ?? 0
    crc = crc16(view, at, end, crc)
    at = end
    if (crc === 0) return next
  }
  const header = headers[index]?.header
  return isEnd && header && isSound(view, start, header) ? headers.length : undefined
}

interface Header {
  readonly sample: number
  readonly length: number
}
interface Found {
  readonly at: number
  readonly header: Header
}

/** Everything in the window that looks like a frame's header, its own checksum included. */
function headersIn(view: Uint8Array, layout: FlacLayout): Found[] {
  const found: Found[] = []
  for (let at = view.indexOf(0xff); at >= 0; at = view.indexOf(0xff, at + 1)) {
    const header = headerAt(view, at, layout)
    if (header !== undefined) found.push({ at, header })
  }
  return found
}

function headerAt(view: Uint8Array, at: number, layout: FlacLayout): Header | undefined {
  const [b1 = 0, b2 = 0, b3 = 0] = view.subarray(at + 1, at + 4)
  if ((b1 & 0xfe) !== 0xf8 || (b3 & 1) !== 0) return undefined
  const channels = b3 >> 4
  if ((channels < 8 ? channels + 1 : 2) !== layout.channels || channels > 10) return undefined
  const bits = BITS[(b3 >> 1) & 7]
  if (bits === undefined || (bits !== 0 && bits !== layout.bits)) return undefined
  const number = codedNumber(view, at + 4)
  if (number === undefined) return undefined
  let next = number.end
  const size = b2 >> 4
  let length = size === 1 ? 192 : size < 6 ? 576 << (size - 2) : 256 << (size - 8)
  if (size === 0) return undefined
  if (size === 6) length = (view[next++] ?? 0) + 1
  if (size === 7) length = (view[next++] ?? 0) * 256 + (view[next++] ?? 0) + 1
  const rate = b2 & 15
  if (rate === 15) return undefined
  next += rate === 12 ? 1 : rate > 12 ? 2 : 0
  if (next >= view.length || crc8(view, at, next) !== view[next]) return undefined
  // With blocks of one length frames are numbered; the last one alone may be shorter.
  const block = new DataView(layout.streamInfo.buffer, layout.streamInfo.byteOffset).getUint16(
    2,
  )
  const sample = (b1 & 1) === 1 ? number.value : number.value * block
  return { sample, length }
}

/** Of each code in a header; 0: as STREAMINFO says; undefined: reserved. */
const BITS = [0, 8, 12, undefined, 16, 20, 24, 32]

/** A number in the manner of UTF-8, up to 36 bits. */
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

/** Whether the frame at `at` ends, soundly, with the window or with a tag that follows it. */
function isSound(view: Uint8Array, at: number, { length }: Header): boolean {
  if (length === 0) return false
  if (crc16(view, at, view.length, 0) === 0) return true
  const tag = view.length - 128
  const isTag =
    tag > at && Buffer.from(view.subarray(tag, tag + 3)).toString('latin1') === 'TAG'
  return isTag && crc16(view, at, tag, 0) === 0
}

function crc8(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0
  for (let i = from; i < to; i++) crc = CRC8[crc ^ (bytes[i] ?? 0)] ?? 0
  return crc
}

/** Over a whole frame, its own checksum included, it is 0. */
function crc16(bytes: Uint8Array, from: number, to: number, start: number): number {
  let crc = start
  for (let i = from; i < to; i++) {
    crc = ((crc << 8) & 0xffff) ^ (CRC16[(crc >> 8) ^ (bytes[i] ?? 0)] ?? 0)
  }
  return crc
}

const CRC8 = table(8, 0x07)
const CRC16 = table(16, 0x8005)

function table(width: number, polynomial: number): Uint16Array {
  const top = 1 << (width - 1)
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc << 1) ^ ((crc & top) === 0 ? 0 : polynomial)
    }
    return crc & (2 ** width - 1)
  })
}
