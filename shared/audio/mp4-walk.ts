import { boxAt, find, inside, word } from './mp4-box.ts'

/** What is seen of the fragments of an MP4 file behind its index. */
export interface FragmentsSeen {
  /** How long their packets are by their own headers, in units of the track's time. */
  units: number
  /** What is missing between them by the time at which each says to begin, in the same units. */
  lostUnits: number
  /** The file ends within a fragment, or before what an index of segments promises. */
  isCut: boolean
  /** Where there is something that is no box, and whether fragments follow it. */
  endAt: number | undefined
  isBroken: boolean
  /** Where another file begins of which no fragment follows. */
  other: number | undefined
}

/** What fragments may say once for all of them: `trex` in the index. */
export interface FragmentDefaults {
  readonly packetUnits: number
  /** Units a second. */
  readonly scale: number
}

/** Times are rounded to units, of which there may be as few as a thousand a second; the shortest packets last 10 ms. */
const SLACK_SECONDS = 0.008

const HEAD_BYTES = 16
/** A fragment of a second has 50 packets, a large one some thousands. */
const MOST_HEADER_BYTES = 1 << 20
const KNOWN =
  /^(moof|mdat|moov|ftyp|styp|sidx|ssix|emsg|prft|free|skip|wide|uuid|udta|meta|mfra|pdin)$/
const MOOF = Buffer.from('moof')

/**
 * Follows the boxes of a fragmented MP4 file as they pass, each byte once, whatever the pieces.
 * Source: ISO/IEC 14496-12, 8.8 (movie fragments), 8.16.3 (sidx).
 */
export class Mp4Walk {
  readonly seen: FragmentsSeen = {
    ...{
      units: 0,
      lostUnits: 0,
      isCut: false,
      endAt: undefined,
      isBroken: false,
      other: undefined,
    },
  }
  /** The next byte that is to pass, and one past the last of the file. */
  at: number
  readonly #end: number
  readonly #defaults: FragmentDefaults
  #held: Buffer = Buffer.alloc(0)
  #skip = 0
  /** Fragments whose samples have not come. */
  #open = 0
  /** When the next one should begin. */
  #next: number | undefined

  constructor(start: number, end: number, defaults: FragmentDefaults) {
    this.at = start
    this.#end = end
    this.#defaults = defaults
  }

  add(piece: Uint8Array): void {
    this.at += piece.length
    const passed = Math.min(this.#skip, piece.length)
    this.#skip -= passed
    this.#held = Buffer.concat([this.#held, piece.subarray(passed)])
    while (this.seen.endAt === undefined && this.#skip === 0 && this.#takeBox());
    if (this.seen.endAt !== undefined) this.#search()
    if (this.at === this.#end && this.#open > 0) this.seen.isCut = true
  }

  /** One box, or as much of it as is looked at. Whether there was enough of it. */
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
    const isRead = /^(moof|sidx)$/.test(box.type) && isWhole && box.end <= MOST_HEADER_BYTES
    if (isRead && held.length < box.end) return false
    if (box.type === 'ftyp') this.seen.other ??= start
    if (box.type === 'moof') {
      this.seen.other = undefined
      const moof = held.subarray(0, box.end)
      const units = isRead ? unitsOf(moof, this.#defaults) : 0
      this.seen.units += units
      const from = isRead ? beginOf(moof) : undefined
      const lost = (from ?? 0) - (this.#next ?? from ?? 0)
      if (lost > SLACK_SECONDS * this.#defaults.scale) this.seen.lostUnits += lost
      this.#next = from === undefined ? undefined : from + units
      if (units > 0) this.#open++
    }
    if (box.type === 'mdat') this.#open--
    if (isRead && box.type === 'sidx' && start + reachOf(held, box) > this.#end) {
      this.seen.isCut = true
    }
    this.#skip = Math.max(0, box.end - held.length)
    this.#held = held.subarray(Math.min(held.length, box.end))
    return true
  }

  /** Behind what is no box: whether there are fragments all the same. */
  #search(): void {
    const held = this.#held
    if (held.includes(MOOF)) this.seen.isBroken = true
    this.#held = held.subarray(Math.max(0, held.length - MOOF.length + 1))
  }
}

/** How long the packets of a fragment are. */
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

/** When a fragment begins by its own word (tfdt), units; undefined where it says nothing. */
function beginOf(moof: Buffer): number | undefined {
  const [time] = find(moof, boxAt(moof, 0, moof.length), 'traf/tfdt')
  if (time === undefined || time.end - time.body < 8) return undefined
  const isLong = moof[time.body] === 1
  if (isLong && time.end - time.body < 12) return undefined
  return word(moof, time.body + 4, isLong)
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

/** Where the segments end that an index of segments has, from its own beginning on. */
function reachOf(bytes: Buffer, { body, end }: { body: number; end: number }): number {
  if (end - body < 24) return 0
  const isLong = bytes[body] === 1
  const offset = body + 12 + (isLong ? 8 : 4)
  const first = offset + (isLong ? 8 : 4)
  let reach = end + word(bytes, offset, isLong)
  if (first + 4 > end) return 0
  const count = bytes.readUInt16BE(first + 2)
  for (let at = first + 4, n = 0; n < count && at + 12 <= end; at += 12, n++) {
    reach += bytes.readUInt32BE(at) & 0x7fff_ffff
  }
  return reach
}
