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
  for (let number = 0; number < frames; number++) {
    for (const byte of silentFrame(number)) file[at++] = byte
  }
  return file.subarray(0, at)
}

function silentFrame(number: number): number[] {
  const frame = [0xff, 0xf8, 0xc9, 0x18, ...coded(number)]
  // Two constant subframes of the value 0.
  frame.push(crc(frame, 8, 0x07), 0, 0, 0, 0, 0, 0)
  const sum = crc(frame, 16, 0x8005)
  frame.push(sum >> 8, sum & 255)
  return frame
}

/** In the manner of UTF-8. */
function coded(number: number): number[] {
  if (number < 0x80) return [number]
  const more = number < 0x800 ? 1 : number < 0x10000 ? 2 : number < 0x200000 ? 3 : 4
  const first = ((0xff << (7 - more)) | (number >> (6 * more))) & 0xff
  const rest = Array.from({ length: more }, (_, i) => {
    return 0x80 | ((number >> (6 * (more - 1 - i))) & 0x3f)
  })
  return [first, ...rest]
}

/** The remainders of single bytes, by polynomial. */
const REMAINDERS = new Map<number, readonly number[]>()

/** As the standard describes it; what a byte comes to bit by bit is kept. */
export function crc(bytes: Iterable<number>, width: 8 | 16, polynomial: number): number {
  let of = REMAINDERS.get(polynomial)
  if (of === undefined) {
    of = Array.from({ length: 256 }, (_, byte) => remainder(byte, width, polynomial))
    REMAINDERS.set(polynomial, of)
  }
  const mask = (1 << width) - 1
  let sum = 0
  for (const byte of bytes) {
    sum = ((sum << 8) & mask) ^ (of[(sum >> (width - 8)) ^ byte] as number)
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
