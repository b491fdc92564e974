import { type Box, find } from './box.ts'

/** The places of packets in the index of an MP4 file, compared with the bytes of the file. */
export interface Packets {
  readonly count: number
  /** Number of packets without bytes. */
  readonly empty: number
  /** Number of packets that extend beyond the end, and number of packets before the first of them. */
  readonly beyond: number
  readonly before: number
  /** The end of the last packet that is complete, bytes. */
  readonly end: number
  /** Whether each chunk lies behind the one before, because a pipe cannot go back. */
  readonly isInOrder: boolean
}

/**
 * Examines each packet once or, if all have the same size, each chunk. Undefined without tables of sizes and
 * places (or with sizes of less than 32 bits, which no known muxer writes). Source: ISO/IEC 14496-12, 8.7.3
 * (stsz), 8.7.4 (stsc), 8.7.5 (stco, co64).
 * @param start the first position in the file at which packets may lie
 * @param end the position behind the last one
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

/** Number of packets of a chunk within `room` bytes from its beginning, and the size of the chunk. */
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

/** Number of rows in a table, limited by the size of its box. */
function rows(moov: Buffer, { body, end }: Box, width: number): number {
  if (body + 8 > end) return 0
  return Math.min(moov.readUInt32BE(body + 4), Math.floor((end - body - 8) / width))
}
