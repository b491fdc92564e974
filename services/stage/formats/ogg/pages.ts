/** A page of an Ogg stream. Source: RFC 3533, section 6. */
export interface OggPage {
  /** Position of its first byte, counted from the first byte that was read. */
  readonly at: number
  /** Position behind its last byte. */
  readonly end: number
  /** Whether it begins within a packet. */
  readonly continues: boolean
  /** Whether it is the first, and the last, page of its logical stream. */
  readonly begins: boolean
  readonly ends: boolean
  /** Number of samples up to the last packet that ends on the page; undefined if none does. */
  readonly granule: number | undefined
  readonly serial: number
  /** The number of the page. The pages of a stream are numbered consecutively. */
  readonly sequence: number
  /** The lengths of its segments. A segment shorter than 255 bytes ends a packet. */
  readonly lacing: Uint8Array
  readonly body: Uint8Array
  /** The checksum in the page, and whether it is correct. */
  readonly checksum: number
  readonly isSound: boolean
  /** Whether it begins where the page before it ends. */
  readonly isNext: boolean
}

const HEADER_BYTES = 27
const MAX_PAGE_BYTES = HEADER_BYTES + 255 + 255 * 255
const CAPTURE = Buffer.from('OggS\0', 'latin1')
const CRC_AT = 22
/**
 * Maximum number of false pages whose checksum is computed: places that look like a page and have no other page
 * behind them.
 */
const MAX_FALSE_PAGES = 100

/**
 * Yields the pages of an Ogg file, including those with a wrong checksum if another page or the end follows
 * them. Bytes between pages are skipped. Use a page before you request the next one. Each byte is examined a
 * bounded number of times.
 */
export async function* oggPages(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<OggPage> {
  let held = Buffer.alloc(0)
  let byte = 0
  let lastEnd = 0
  let falsePages = 0
  function* found(isEnd: boolean): Generator<OggPage> {
    let at = 0
    const least = isEnd ? HEADER_BYTES : MAX_PAGE_BYTES + CAPTURE.length
    while (held.length - at >= least) {
      const next = held.indexOf(CAPTURE, at)
      if (next < 0) {
        at = Math.max(at, held.length - CAPTURE.length + 1)
        break
      }
      at = next
      if (held.length - at < least) break
      const end = pageEnd(held, at)
      const isFollowed = end === held.length || held.indexOf(CAPTURE, end) === end
      const mayBePage = end <= held.length && (isFollowed || falsePages < MAX_FALSE_PAGES)
      const isSound = mayBePage && crcOf(held, at, end) === held.readUInt32LE(at + CRC_AT)
      if (isSound || (mayBePage && isFollowed)) {
        yield pageOf(held, { at, end, byte, isSound, isNext: byte + at === lastEnd })
        at = end
        lastEnd = byte + end
      } else {
        if (mayBePage) falsePages++
        at += CAPTURE.length
      }
    }
    byte += at
    held = held.subarray(at)
  }
  for await (const piece of pieces) {
    held = Buffer.concat([held, piece])
    yield* found(false)
  }
  yield* found(true)
}

/** The end of the page at `at` by its header. It lies beyond the end of the bytes if the header is incomplete. */
function pageEnd(bytes: Buffer, at: number): number {
  const bodyAt = at + HEADER_BYTES + bytes.readUInt8(at + 26)
  let end = bodyAt
  for (let i = at + HEADER_BYTES; i < bodyAt; i++) end += bytes[i] ?? MAX_PAGE_BYTES
  return end
}

function pageOf(
  bytes: Buffer,
  place: { at: number; end: number; byte: number; isSound: boolean; isNext: boolean },
): OggPage {
  const { at, end, byte, isSound, isNext } = place
  const flags = bytes.readUInt8(at + 5)
  const granule = Number(bytes.readBigInt64LE(at + 6))
  const bodyAt = at + HEADER_BYTES + bytes.readUInt8(at + 26)
  return {
    at: byte + at,
    end: byte + end,
    isSound,
    isNext,
    continues: (flags & 1) !== 0,
    begins: (flags & 2) !== 0,
    ends: (flags & 4) !== 0,
    granule: granule < 0 ? undefined : granule,
    serial: bytes.readUInt32LE(at + 14),
    sequence: bytes.readUInt32LE(at + 18),
    lacing: bytes.subarray(at + HEADER_BYTES, bodyAt),
    body: bytes.subarray(bodyAt, end),
    checksum: bytes.readUInt32LE(at + CRC_AT),
  }
}

/** The checksum of a page, computed with its checksum field set to 0. */
function crcOf(bytes: Buffer, at: number, end: number): number {
  const head = crcOver(bytes, at, at + CRC_AT, 0)
  const sum = crcOver(ZEROS, 0, ZEROS.length, head)
  return crcOver(bytes, at + CRC_AT + ZEROS.length, end, sum) >>> 0
}

const ZEROS = Buffer.alloc(4)

function crcOver(bytes: Buffer, from: number, to: number, start: number): number {
  let crc = start
  for (let i = from; i < to; i++)
    crc = (crc << 8) ^ (TABLE[(crc >>> 24) ^ (bytes[i] as number)] as number)
  return crc
}

/** The table for the polynomial 0x04c11db7, most significant bit first. */
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0)
  return crc
})
