import type { PcmLayout } from '../formats/layout.ts'
import type { NoNumbersSeen } from './no-numbers.ts'
import { wholeNumbers } from './whole-numbers.ts'

/**
 * Makes floating-point samples safe to filter and round: NaN and infinity become 0, and absurdly loud values
 * become 84 dB above full scale. One such value would otherwise spread over the whole span of the resampler's
 * filter. The output is little-endian, and its pieces hold whole numbers.
 * @param seen receives the place of each NaN or infinite number, counted from 0
 */
export async function* finite(
  pieces: AsyncIterable<Uint8Array>,
  { bits, bigEndian }: PcmLayout,
  seen?: Pick<NoNumbersSeen, 'add'>,
): AsyncGenerator<Uint8Array> {
  let before = 0
  for await (const numbers of wholeNumbers(pieces, bits / 8)) {
    const none = (n: number) => seen?.add(before + n)
    if (bigEndian) bits === 32 ? numbers.swap32() : numbers.swap64()
    const words = new Uint32Array(numbers.buffer, numbers.byteOffset, numbers.length / 4)
    if (bits === 32) tame32(words, none)
    else tame64(words, none)
    before += numbers.length / (bits / 8)
    yield numbers
  }
}

const SIGN = 0x8000_0000
/** 2^14 and infinity, without their signs, in the most significant 32 bits. */
const SINGLE = { loud: 0x4680_0000, infinite: 0x7f80_0000 }
const DOUBLE = { loud: 0x40d0_0000, infinite: 0x7ff0_0000 }

type Tell = (n: number) => void

function tame32(words: Uint32Array, none: Tell): void {
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? 0
    const size = word & ~SIGN
    if (size <= SINGLE.loud) continue
    const isNumber = size < SINGLE.infinite
    if (!isNumber) none(i)
    words[i] = isNumber ? (word & SIGN) | SINGLE.loud : 0
  }
}

function tame64(words: Uint32Array, none: Tell): void {
  for (let i = 1; i < words.length; i += 2) {
    const word = words[i] ?? 0
    const size = word & ~SIGN
    if (size < DOUBLE.loud) continue
    const isNumber = size < DOUBLE.infinite
    if (!isNumber) none(i >> 1)
    words[i] = isNumber ? (word & SIGN) | DOUBLE.loud : 0
    words[i - 1] = 0
  }
}
