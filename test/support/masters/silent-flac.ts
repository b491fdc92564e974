/** Samples of each block. */
const BLOCK = 4096
const LONGEST_FRAME = 18

/** A FLAC of 16-bit 44.1 kHz stereo that is nothing but silence, 17 bytes for each tenth of a second. */
export function silentFlac(frames: number, total = frames * BLOCK): Buffer {
  const info = Buffer.alloc(42)
  info.write('fLaC', 0, 'latin1')
  info.writeUInt32BE(0x8000_0022, 4)
  info.writeUInt16BE(BLOCK, 8)
  info.writeUInt16BE(BLOCK, 10)
  const packed = (44_100n << 44n) | (1n << 41n) | (15n << 36n) | BigInt(total)
  info.writeBigUInt64BE(packed, 18)
  const file = Buffer.alloc(info.length + frames * LONGEST_FRAME)
  info.copy(file)
  let at = info.length
  // In place: the longest of them have a million frames.
  for (let number = 0; number < frames; number++) {
    const start = at
    at = file.writeUInt32BE(0xfff8_c918, at)
    at = putNumber(file, number, at)
    file[at] = crc(file, 8, 0x07, start, at)
    // Two constant subframes of the value 0.
    at += 7
    at = file.writeUInt16BE(crc(file, 16, 0x8005, start, at), at)
  }
  return file.subarray(0, at)
}

/** Writes a number in the manner of UTF-8. @returns the place behind it */
function putNumber(file: Buffer, number: number, at: number): number {
  if (number < 0x80) return file.writeUInt8(number, at)
  const more = number < 0x800 ? 1 : number < 0x10000 ? 2 : number < 0x200000 ? 3 : 4
  file[at] = (0xff << (7 - more)) | (number >> (6 * more))
  for (let i = 1; i <= more; i++) file[at + i] = 0x80 | ((number >> (6 * (more - i))) & 0x3f)
  return at + more + 1
}

/** The remainders of single bytes, by polynomial. */
const REMAINDERS = new Map<number, readonly number[]>()

/** Of the bytes [from, to), as the standard describes it; what a byte comes to bit by bit is kept. */
export function crc(
  bytes: ArrayLike<number>,
  width: 8 | 16,
  polynomial: number,
  from = 0,
  to = bytes.length,
): number {
  let of = REMAINDERS.get(polynomial)
  if (of === undefined) {
    of = Array.from({ length: 256 }, (_, byte) => remainder(byte, width, polynomial))
    REMAINDERS.set(polynomial, of)
  }
  const mask = (1 << width) - 1
  let sum = 0
  for (let i = from; i < to; i++) {
    sum = ((sum << 8) & mask) ^ (of[(sum >> (width - 8)) ^ (bytes[i] as number)] as number)
  }
  return sum
}

function remainder(byte: number, width: 8 | 16, polynomial: number): number {
  let sum = byte << (width - 8)
  for (let bit = 0; bit < 8; bit++) {
    sum = (sum << 1) ^ ((sum >> (width - 1)) & 1 ? polynomial : 0)
  }
  return sum & ((1 << width) - 1)
}
