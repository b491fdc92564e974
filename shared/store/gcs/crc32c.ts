/**
 * CRC-32C (Castagnoli), which Cloud Storage keeps of every object. Given what came before, goes on from there.
 * Node has no CRC of this polynomial. Eight bytes a turn by eight tables: 1.3 GB/s on one core, twice MD5.
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  let crc = ~before
  let at = 0
  // Words are read from aligned addresses only.
  const first = Math.min(bytes.length, -bytes.byteOffset & 3)
  for (; at < first; at++) crc = step(crc, bytes[at] as number)
  const pairs = (bytes.length - at) >>> 3
  const words = new Int32Array(bytes.buffer, pairs && bytes.byteOffset + at, 2 * pairs)
  for (let i = 0; i < words.length; i += 2) {
    const a = crc ^ (words[i] as number)
    const b = words[i + 1] as number
    crc =
      look(7, a & 255) ^
      look(6, (a >>> 8) & 255) ^
      look(5, (a >>> 16) & 255) ^
      look(4, a >>> 24) ^
      look(3, b & 255) ^
      look(2, (b >>> 8) & 255) ^
      look(1, (b >>> 16) & 255) ^
      look(0, b >>> 24)
  }
  for (at += 8 * pairs; at < bytes.length; at++) crc = step(crc, bytes[at] as number)
  return ~crc >>> 0
}

/** As Cloud Storage writes it: base64 of the four bytes, the highest first. */
export function crc32cText(crc: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc)
  return bytes.toString('base64')
}

/** Table n tells what a byte does to the sum when n bytes follow it. */
const TABLES = Int32Array.from({ length: 8 * 256 })
for (let byte = 0; byte < 256; byte++) {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  TABLES[byte] = crc
}
for (let i = 256; i < TABLES.length; i++) {
  const before = TABLES[i - 256] as number
  TABLES[i] = look(0, before & 255) ^ (before >>> 8)
}

function look(table: number, byte: number): number {
  return TABLES[256 * table + byte] as number
}

function step(crc: number, byte: number): number {
  return look(0, (crc ^ byte) & 255) ^ (crc >>> 8)
}
