import { type Box, find } from './box.ts'

/** What the index of an MP4 file says of where its packets lie, against the bytes that there are. */
export interface Packets {
  readonly count: number
  /** How many of them have no bytes at all. */
  readonly empty: number
  /** How many reach beyond the end, and how many there are before the first of these. */
  readonly beyond: number
  readonly before: number
  /** Where the last of those ends. */
  readonly end: number
  /** Whether each chunk of them lies behind the one before: a pipe does not go back. */
  readonly isInOrder: boolean
}

/**
 * Looks at each packet once; where all are of one size, at each chunk. Undefined without tables of sizes and places
 * (or with sizes of less than 32 bits, which nobody writes).
 * Source: ISO/IEC 14496-12, 8.7.3 (stsz), 8.7.4 (stsc), 8.7.5 (stco, co64).
 * @param start the first byte of the file where they may lie
 * @param end one past the last
 */
export function packetsOf(
  moov: Buffer,
  stbl: Box | undefined,
  { start, end }: { readonly start: number; readonly end: number },
): Packets | undefined {
  const table = (type: string) => stbl && find(moov, stbl, type)[0]
  const [sizes, runs] = [table('stsz'), table('stsc')]
  const near = table('stco')
  const places = near ?? table('co64')
  if (sizes === undefined || runs === undefined || places === undefined) return undefined
  if (sizes.end - sizes.body < 12) return undefined
  const width = places === near ? 4 : 8
  const [chunks, most] = [rows(moov, places, width), rows(moov, runs, 12)]
  const all = packetCount(moov, sizes)
  const found = { count: 0, empty: 0, beyond: 0, end: start, isInOrder: true }
  let before: number | undefined
  let free = start
  for (let chunk = 0, run = 0; chunk < chunks && most > 0 && found.count < all; chunk++) {
    const row = runs.body + 8 + 12 * run
    if (run + 1 < most && moov.readUInt32BE(row + 12) <= chunk + 1) run++
    const each = moov.readUInt32BE(runs.body + 8 + 12 * run + 4)
    const place = places.body + 8 + width * chunk
    const at = width === 4 ? moov.readUInt32BE(place) : Number(moov.readBigUInt64BE(place))
    const packets = { from: found.count, to: Math.min(all, found.count + each) }
    if (packets.from === packets.to) continue
    const { whole, wholeBytes, bytes, empty } = chunkOf(moov, sizes, packets, end - at)
    if (at < free && at < end) found.isInOrder = false
    if (whole > 0) found.end = Math.max(found.end, at + wholeBytes)
    if (packets.from + whole < packets.to) before ??= packets.from + whole
    found.empty += empty
    found.beyond += packets.to - packets.from - whole
    found.count = packets.to
    free = at + bytes
  }
  return { ...found, before: before ?? found.count }
}

/** How many packets of a chunk lie within the `room` bytes from its beginning on, and how many bytes it has. */
function chunkOf(
  moov: Buffer,
  sizes: Box,
  { from, to }: { readonly from: number; readonly to: number },
  room: number,
) {
  const size = moov.readUInt32BE(sizes.body + 4)
  if (size > 0) {
    const whole = Math.max(0, Math.min(to - from, Math.floor(room / size)))
    return { whole, wholeBytes: whole * size, bytes: (to - from) * size, empty: 0 }
  }
  const found = { whole: 0, wholeBytes: 0, bytes: 0, empty: 0 }
  for (let i = from; i < to; i++) {
    const bytes = moov.readUInt32BE(sizes.body + 12 + 4 * i)
    if (bytes === 0) found.empty++
    found.bytes += bytes
    if (found.bytes > room) continue
    found.whole++
    found.wholeBytes = found.bytes
  }
  return found
}

function packetCount(moov: Buffer, { body, end }: Box): number {
  const said = moov.readUInt32BE(body + 8)
  const areAlike = moov.readUInt32BE(body + 4) > 0
  return areAlike ? said : Math.min(said, Math.floor((end - body - 12) / 4))
}

/** How many rows a table has, as far as there is room for them. */
function rows(moov: Buffer, { body, end }: Box, width: number): number {
  if (body + 8 > end) return 0
  return Math.min(moov.readUInt32BE(body + 4), Math.floor((end - body - 8) / width))
}
