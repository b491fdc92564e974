import type { PcmLayout } from '../formats/layout.ts'
import { wholeNumbers } from './whole-numbers.ts'

/**
 * Shifts numbers from the lower end of their containers to the upper end. Values that do not fit become full
 * scale.
 */
export async function* raised(
  pieces: AsyncIterable<Uint8Array>,
  { bits, bigEndian, lowBits = bits }: PcmLayout,
): AsyncGenerator<Uint8Array> {
  const width = bits / 8
  const factor = 2 ** (bits - lowBits)
  const most = 2 ** (bits - 1) - 1
  for await (const numbers of wholeNumbers(pieces, width)) {
    for (let at = 0; at < numbers.length; at += width) {
      const low = bigEndian ? numbers.readIntBE(at, width) : numbers.readIntLE(at, width)
      const high = Math.max(-most - 1, Math.min(most, low * factor))
      if (bigEndian) numbers.writeIntBE(high, at, width)
      else numbers.writeIntLE(high, at, width)
    }
    yield numbers
  }
}
