import type { PcmLayout } from '../formats/layout.ts'
import type { NoNumbersSeen } from './no-numbers.ts'
import { wholeNumbers } from './whole-numbers.ts'

/**
 * Bare floating-point numbers as they can be filtered and rounded: what is no number, or infinite, is 0, and what
 * is absurdly loud is 84 dB above full scale. One such number would otherwise spread over all that a resampler's
 * filter spans. Little-endian, whatever the master is; the pieces hold whole numbers.
 * @param seen is told the place of each that is no number, or infinite, from 0 on
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
/** 2^14 and infinity, without their sign, as the most significant 32 bits have them. */
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
