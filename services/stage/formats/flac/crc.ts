/**
 * The checksum of FLAC frames (polynomial x^16 + x^15 + x^2 + 1) over the bytes from the first one on, as keys:
 * the checksum of a range is zero exactly when its beginning and its end have the same key.
 *
 * The running checksum is multiplied by x^8 with each byte. A key is the checksum divided by that factor. It
 * does not depend on the position, so two places can be compared without reading what lies between them.
 */
export class Crc16 {
  readonly #bytes: Uint8Array
  #at = 0
  #crc = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The key of the place before byte `at`. Calls must have increasing `at`. */
  keyAt(at: number): number {
    let crc = this.#crc
    for (let i = this.#at; i < at; i++) {
      crc = ((crc << 8) & 0xffff) ^ (TABLE_16[(crc >> 8) ^ (this.#bytes[i] ?? 0)] ?? 0)
    }
    this.#crc = crc
    this.#at = at
    return product(crc, POWERS[(ORDER - ((8 * at) % ORDER)) % ORDER] ?? 0)
  }
}

/** The checksum of a frame's header. */
export function crc8(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0
  for (let i = from; i < to; i++) crc = TABLE_8[crc ^ (bytes[i] ?? 0)] ?? 0
  return crc
}

const TABLE_8 = table(8, 0x07)
const POLYNOMIAL = 0x8005
const TABLE_16 = table(16, POLYNOMIAL)

/** The order of x: x to this power has the remainder 1, because the polynomial is (x + 1)(x^15 + x + 1). */
const ORDER = 32_767

function times(value: number): number {
  return ((value << 1) & 0xffff) ^ ((value & 0x8000) === 0 ? 0 : POLYNOMIAL)
}

const POWERS = (() => {
  const powers = new Uint16Array(ORDER)
  for (let n = 0, power = 1; n < ORDER; n++, power = times(power)) powers[n] = power
  return powers
})()

/** The product of two polynomials, reduced by the polynomial. */
function product(a: number, b: number): number {
  let result = 0
  for (let bit = 15; bit >= 0; bit--) {
    result = times(result)
    if ((b >> bit) & 1) result ^= a
  }
  return result
}

function table(width: number, polynomial: number): Uint16Array {
  const top = 1 << (width - 1)
  return Uint16Array.from({ length: 256 }, (_, byte) => {
    let crc = byte << (width - 8)
    for (let bit = 0; bit < 8; bit++) {
      crc = (crc << 1) ^ ((crc & top) === 0 ? 0 : polynomial)
    }
    return crc & (2 ** width - 1)
  })
}
