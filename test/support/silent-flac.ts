/** Samples of each block. */
const BLOCK = 4096

/** A FLAC of 16-bit 44.1 kHz stereo that is nothing but silence, 17 bytes for each tenth of a second. */
export function silentFlac(frames: number, total = frames * BLOCK): Buffer {
  const info = Buffer.alloc(42)
  info.write('fLaC', 0, 'latin1')
  info.writeUInt32BE(0x8000_0022, 4)
  info.writeUInt16BE(BLOCK, 8)
  info.writeUInt16BE(BLOCK, 10)
  const packed = (44_100n << 44n) | (1n << 41n) | (15n << 36n) | BigInt(total)
  info.writeBigUInt64BE(packed, 18)
  return Buffer.concat([info, ...Array.from({ length: frames }, (_, n) => silentFrame(n))])
}

function silentFrame(number: number): Buffer {
  const head = [0xff, 0xf8, 0xc9, 0x18, ...coded(number)]
  // Two constant subframes of the value 0.
  const frame = [...head, crc(head, 8, 0x07), 0, 0, 0, 0, 0, 0]
  const sum = crc(frame, 16, 0x8005)
  return Buffer.from([...frame, sum >> 8, sum & 255])
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

/** Bit by bit, as the standard describes it. */
export function crc(bytes: Iterable<number>, width: 8 | 16, polynomial: number): number {
  let sum = 0
  for (const byte of bytes) {
    sum ^= byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) {
      sum = (sum << 1) ^ ((sum >> (width - 1)) & 1 ? polynomial : 0)
    }
    sum &= (1 << width) - 1
  }
  return sum
}
