/**
 * Whether FLAC frames of `blockSamples` samples each end with the undamaged last frame of a track of `samples`
 * samples. Source: RFC 9639, 9.1 (frame header) and 9.3 (frame footer).
 */
export function endsWithFrame(frames: Buffer, blockSamples: number, samples: number): boolean {
  const number = Math.ceil(samples / blockSamples) - 1
  const name = codedNumber(number)
  for (let at = frames.length; at > 0; ) {
    at = frames.lastIndexOf(SYNC, at - 1)
    if (at < 0) return false
    const frame = frames.subarray(at)
    // A sync code may also occur by chance. The checksum over a frame including its own checksum is 0.
    if (!frame.subarray(NUMBER_AT, NUMBER_AT + name.length).equals(name)) continue
    if (crc16(frame) !== 0) continue
    return blockOf(frame, name.length) === samples - number * blockSamples
  }
  return false
}

/** The sync code of frames of equal length (the last one may be shorter). */
const SYNC = Buffer.from([0xff, 0xf8])
const NUMBER_AT = 4

/** A number coded as UTF-8 codes code points, extended to larger numbers. */
function codedNumber(number: number): Buffer {
  const low = (shift: number) => 0x80 | ((number >> shift) & 0x3f)
  if (number < 0x80) return Buffer.from([number])
  if (number < 0x800) return Buffer.from([0xc0 | (number >> 6), low(0)])
  if (number < 0x10000) return Buffer.from([0xe0 | (number >> 12), low(6), low(0)])
  return Buffer.from([0xf0 | (number >> 18), low(12), low(6), low(0)])
}

/** The number of samples in a frame, by the four bits in its header. */
function blockOf(frame: Buffer, numberBytes: number): number {
  const code = (frame[2] ?? 0) >> 4
  const after = NUMBER_AT + numberBytes
  if (code === 6) return frame.readUInt8(after) + 1
  if (code === 7) return frame.readUInt16BE(after) + 1
  if (code >= 8) return 256 << (code - 8)
  return code === 1 ? 192 : 576 << (code - 2)
}

/** CRC-16 with polynomial 0x8005 and initial value 0. */
function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc = ((crc << 8) & 0xffff) ^ (CRC_TABLE[(crc >>> 8) ^ byte] ?? 0)
  }
  return crc
}

const CRC_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8005 : crc << 1
  return crc & 0xffff
})
