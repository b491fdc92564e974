import { boxAt, find, inside, word } from './box.ts'
import { FragmentTimes } from './fragment-times.ts'

/** What is seen of the fragments behind the index of an MP4 file. */
interface FragmentsSeen {
  /** The total length of the fragments in order, by their own headers, in time units of the track. */
  units: number
  /** Whether the file ends within a fragment. */
  isCut: boolean
  /** Whether the file ends before the end that an index of segments promises. */
  isShort: boolean
  /** Position of another file with fragments whose times restart. */
  againAt: number | undefined
  /** Position of something that is not a box, and whether fragments follow it. */
  endAt: number | undefined
  isBroken: boolean
  /** Position of another file without fragments. */
  other: number | undefined
}

/** Defaults for all fragments: `trex` in the index. */
interface FragmentDefaults {
  readonly packetUnits: number
  /** Time units per second. */
  readonly scale: number
  /** Length of the packets in the index itself, units. */
  readonly units: number
}

const HEAD_BYTES = 16
/**
 * Maximum size of a fragment's header, bytes. A fragment of a second has 50 packets, a large one a few
 * thousand.
 */
const MAX_HEADER_BYTES = 1 << 20
const KNOWN =
  /^(moof|mdat|moov|ftyp|styp|sidx|ssix|emsg|prft|free|skip|wide|uuid|udta|meta|mfra|pdin)$/
const MOOF = Buffer.from('moof')

/**
 * Follows the boxes of a fragmented MP4 file while it streams past. Each byte is examined once, whatever the
 * pieces. Source: ISO/IEC 14496-12, 8.8 (movie fragments), 8.16.3 (sidx).
 */
export class Mp4Walk {
  readonly seen: FragmentsSeen = {
    units: 0,
    isCut: false,
    isShort: false,
    againAt: undefined,
    endAt: undefined,
    isBroken: false,
    other: undefined,
  }
  /** The start and end times of the fragments. */
  readonly times: FragmentTimes
  /** Position of the next byte to be added; and the end of the file. */
  at: number
  readonly #end: number
  readonly #defaults: FragmentDefaults
  #held: Buffer = Buffer.alloc(0)
  #skip = 0
  /** Number of fragments whose samples have not arrived. */
  #open = 0
  /** Position of a file that the next fragment may belong to. */
  #fileAt: number | undefined
  /** The end that an index of segments gives beyond the end of the file, if it does: in time units of the track. */
  #indexed: number | undefined

  constructor(start: number, end: number, defaults: FragmentDefaults) {
    this.at = start
    this.#end = end
    this.#defaults = defaults
    this.times = new FragmentTimes(defaults.scale, defaults.units)
  }

  add(piece: Uint8Array): void {
    this.at += piece.length
    const passed = Math.min(this.#skip, piece.length)
    this.#skip -= passed
    this.#held = Buffer.concat([this.#held, piece.subarray(passed)])
    while (this.seen.endAt === undefined && this.#skip === 0 && this.#takeBox());
    if (this.seen.endAt !== undefined) this.#search()
    if (this.at < this.#end) return
    if (this.#open > 0) this.seen.isCut = true
    const reach = this.times.reach ?? 0
    if (this.#indexed !== undefined && reach < this.#indexed - this.#defaults.packetUnits) {
      this.seen.isShort = true
    }
  }

  /** Time units per second. */
  get scale(): number {
    return this.#defaults.scale
  }

  /** Takes one box, or the part of it that is needed. Returns whether enough of it was there. */
  #takeBox(): boolean {
    const held = this.#held
    const start = this.at - held.length
    const isLast = this.at === this.#end
    if (held.length < 8 || (held.length < HEAD_BYTES && !isLast)) return false
    const box = boxAt(held, 0, this.#end - start)
    if (!KNOWN.test(box.type) || box.end < box.body) {
      this.seen.endAt = start
      return false
    }
    const isWhole = start + box.end <= this.#end
    if (!isWhole && /^(moof|mdat)$/.test(box.type)) this.seen.isCut = true
    const isRead = /^(moof|sidx)$/.test(box.type) && isWhole && box.end <= MAX_HEADER_BYTES
    if (isRead && held.length < box.end) return false
    if (box.type === 'ftyp') {
      this.seen.other ??= start
      this.#fileAt = start
    }
    if (box.type === 'moof') this.#takeFragment(held.subarray(0, isRead ? box.end : 0))
    if (box.type === 'mdat') this.#open--
    if (isRead && box.type === 'sidx') {
      const { bytes, seconds } = reachOf(held, box)
      if (start + bytes > this.#end) this.#indexed = seconds * this.#defaults.scale
    }
    this.#skip = Math.max(0, box.end - held.length)
    this.#held = held.subarray(Math.min(held.length, box.end))
    return true
  }

  /** @param moof the box; empty if it is too large to be read */
  #takeFragment(moof: Buffer): void {
    const { seen, times } = this
    seen.other = undefined
    const units = moof.length > 0 ? unitsOf(moof, this.#defaults) : 0
    if (units > 0) this.#open++
    const from = moof.length > 0 ? beginOf(moof) : undefined
    if (this.#fileAt !== undefined && from !== undefined && times.isBack(from)) {
      seen.againAt ??= this.#fileAt
      times.again()
    }
    this.#fileAt = undefined
    if (times.add(from, units, numberOf(moof))) seen.units += units
  }

  /** Searches for fragments behind something that is not a box. */
  #search(): void {
    const held = this.#held
    if (held.includes(MOOF)) this.seen.isBroken = true
    this.#held = held.subarray(Math.max(0, held.length - MOOF.length + 1))
  }
}

/** The length of the packets of a fragment, units. */
function unitsOf(moof: Buffer, { packetUnits }: FragmentDefaults): number {
  let units = 0
  for (const track of find(moof, boxAt(moof, 0, moof.length), 'traf')) {
    const boxes = [...inside(moof, track)]
    const head = boxes.find(({ type }) => type === 'tfhd')
    const own = head && defaultUnits(moof, head)
    for (const { type, body, end } of boxes) {
      if (type === 'trun' && end - body >= 8)
        units += runUnits(moof, body, end, own ?? packetUnits)
    }
  }
  return units
}

/** The start of a fragment by its own header (tfdt), units; undefined if it has none. */
function beginOf(moof: Buffer): number | undefined {
  const [time] = find(moof, boxAt(moof, 0, moof.length), 'traf/tfdt')
  if (time === undefined || time.end - time.body < 8) return undefined
  const isLong = moof[time.body] === 1
  if (isLong && time.end - time.body < 12) return undefined
  return word(moof, time.body + 4, isLong)
}

/** The number of a fragment by its muxer (mfhd); 0 if it has none. */
function numberOf(moof: Buffer): number {
  if (moof.length === 0) return 0
  const [head] = find(moof, boxAt(moof, 0, moof.length), 'mfhd')
  return head === undefined || head.end - head.body < 8 ? 0 : moof.readUInt32BE(head.body + 4)
}

function defaultUnits(moof: Buffer, { body, end }: { body: number; end: number }) {
  if (end - body < 8) return undefined
  const flags = moof.readUInt32BE(body)
  const at = body + 8 + ((flags & 1) === 0 ? 0 : 8) + ((flags & 2) === 0 ? 0 : 4)
  return (flags & 8) === 0 || at + 4 > end ? undefined : moof.readUInt32BE(at)
}

function runUnits(moof: Buffer, body: number, end: number, each: number): number {
  const flags = moof.readUInt32BE(body)
  const count = moof.readUInt32BE(body + 4)
  if ((flags & 0x100) === 0) return count * each
  const first = body + 8 + ((flags & 1) === 0 ? 0 : 4) + ((flags & 4) === 0 ? 0 : 4)
  const width = [0x100, 0x200, 0x400, 0x800].filter((flag) => (flags & flag) !== 0).length * 4
  let units = 0
  for (let at = first, n = 0; n < count && at + width <= end; at += width, n++) {
    units += moof.readUInt32BE(at)
  }
  return units
}

/** The end of the segments in an index of segments: bytes from its own beginning, and seconds. */
function reachOf(bytes: Buffer, { body, end }: { body: number; end: number }) {
  if (end - body < 24) return { bytes: 0, seconds: 0 }
  const isLong = bytes[body] === 1
  const scale = bytes.readUInt32BE(body + 8)
  const offset = body + 12 + (isLong ? 8 : 4)
  const first = offset + (isLong ? 8 : 4)
  let reach = end + word(bytes, offset, isLong)
  if (first + 4 > end || scale === 0) return { bytes: 0, seconds: 0 }
  let units = word(bytes, body + 12, isLong)
  const count = bytes.readUInt16BE(first + 2)
  for (let at = first + 4, n = 0; n < count && at + 12 <= end; at += 12, n++) {
    reach += bytes.readUInt32BE(at) & 0x7fff_ffff
    units += bytes.readUInt32BE(at + 4)
  }
  return { bytes: reach, seconds: units / scale }
}
