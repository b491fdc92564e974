/**
 * The position behind a frame by what its subframes hold. A checksum of 16 bits alone may be right by chance where
 * something follows that is no frame. Source: RFC 9639, sections 9.2 and 9.3.
 * @param at the position of the frame, whose header is sound
 * @param length the number of samples in the frame
 * @returns undefined where these are no subframes, or end beyond the bytes
 */
export function frameEnd(
  bytes: Uint8Array,
  at: number,
  length: number,
  streamInfo: Uint8Array,
): number | undefined {
  const [b2 = 0, b3 = 0] = bytes.subarray(at + 2, at + 4)
  const bits = new BitReader(bytes, 8 * (at + headerBytes(bytes, at)))
  const assignment = b3 >> 4
  const channels = assignment < 8 ? assignment + 1 : 2
  const depth = DEPTHS[(b3 >> 1) & 7] || depthOf(streamInfo)
  if (b2 >> 4 === 0) return undefined
  for (let channel = 0; channel < channels; channel++) {
    // The difference of left and right needs a bit more.
    const isSide = assignment === 9 ? channel === 0 : assignment > 7 && channel === 1
    if (!skipSubframe(bits, length, isSide ? depth + 1 : depth)) return undefined
  }
  const end = Math.ceil(bits.at / 8) + CHECKSUM_BYTES
  return end <= bytes.length ? end : undefined
}

const CHECKSUM_BYTES = 2
/** The bits of a sample by their code in a header; 0: as in STREAMINFO. */
const DEPTHS = [0, 8, 12, 0, 16, 20, 24, 32]

function depthOf(streamInfo: Uint8Array): number {
  const [high = 0, low = 0] = streamInfo.subarray(12, 14)
  return (((high & 1) << 4) | (low >> 4)) + 1
}

/** The length of a header, its checksum included. */
function headerBytes(bytes: Uint8Array, at: number): number {
  const [b2 = 0, , number = 0] = bytes.subarray(at + 2, at + 5)
  const numberBytes = number < 0x80 ? 1 : Math.clz32(~(number << 24))
  const [size, rate] = [b2 >> 4, b2 & 15]
  const sizeBytes = size === 6 ? 1 : size === 7 ? 2 : 0
  const rateBytes = rate === 12 ? 1 : rate > 12 ? 2 : 0
  return 4 + numberBytes + sizeBytes + rateBytes + 1
}

/** @returns whether it is one */
function skipSubframe(bits: BitReader, length: number, depth: number): boolean {
  if (bits.take(1) !== 0) return false
  const kind = bits.take(6)
  const wasted = bits.take(1) === 0 ? 0 : bits.zeros() + 1
  const own = depth - wasted
  if (own < 1) return false
  if (kind <= 1) {
    bits.at += kind === 0 ? own : own * length
    return true
  }
  const isFixed = kind >= 8 && kind <= 12
  if (!isFixed && kind < 32) return false
  const order = isFixed ? kind - 8 : kind - 31
  bits.at += own * order
  if (!isFixed) {
    const precision = bits.take(4) + 1
    if (precision === 16) return false
    bits.at += 5 + order * precision
  }
  return skipResidual(bits, length, order)
}

/** @returns whether it is one */
function skipResidual(bits: BitReader, length: number, order: number): boolean {
  const method = bits.take(2)
  if (method > 1) return false
  const parameterBits = 4 + method
  const partitions = 1 << bits.take(4)
  const samples = length / partitions
  if (!Number.isInteger(samples) || samples < order) return false
  for (let n = 0; n < partitions && !bits.isOver; n++) {
    const count = n === 0 ? samples - order : samples
    const parameter = bits.take(parameterBits)
    if (parameter === (1 << parameterBits) - 1) bits.at += bits.take(5) * count
    else
      for (let i = 0; i < count && !bits.isOver; i++) {
        bits.zeros()
        bits.at += parameter
      }
  }
  return true
}

/** Bits from the highest of each byte on; behind the last byte there are zeros. */
class BitReader {
  /** The number of the next bit. */
  at: number
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  get isOver(): boolean {
    return this.at > 8 * this.#bytes.length
  }

  /** The next bits as a number; 8 at most. */
  take(count: number): number {
    const byte = this.at >> 3
    const two = ((this.#bytes[byte] ?? 0) << 8) | (this.#bytes[byte + 1] ?? 0)
    const value = (two >> (16 - (this.at & 7) - count)) & ((1 << count) - 1)
    this.at += count
    return value
  }

  /** Skips zeros and the one behind them. @returns the number of zeros */
  zeros(): number {
    const from = this.at
    while (!this.isOver) {
      // Whole bytes at once: hostile ones may be nothing but zeros.
      if ((this.at & 7) === 0 && this.#bytes[this.at >> 3] === 0) this.at += 8
      else if (this.take(1) === 1) break
    }
    return this.at - from - 1
  }
}
