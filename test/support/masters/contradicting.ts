import type { ByteRanges } from '../../../services/stage/formats/byte-window.ts'
import { chunk, wav } from '../audio.ts'
import { club } from '../synth.ts'

/** Fields of a plain "fmt " chunk; what is not given is as it should be. */
interface Fields {
  readonly tag?: number
  readonly channels?: number
  readonly rate?: number
  readonly byteRate?: number
  readonly block?: number
  readonly bits?: number
  /** Makes it WAVE_FORMAT_EXTENSIBLE. */
  readonly validBits?: number
}

/** A WAV whose samples are `body` and whose header says what it is given. */
export function claiming(body: Uint8Array, fields: Fields): Buffer {
  const { tag = 1, channels = 1, rate = 44_100, bits = 16, validBits } = fields
  const { block = Math.ceil(bits / 8) * channels } = fields
  const { byteRate = rate * block } = fields
  const format = Buffer.alloc(validBits === undefined ? 16 : 40)
  format.writeUInt16LE(validBits === undefined ? tag : 0xfffe, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE(byteRate, 8)
  format.writeUInt16LE(block, 12)
  format.writeUInt16LE(bits, 14)
  if (validBits !== undefined) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(validBits, 18)
    format.writeUInt16LE(tag, 24)
    Buffer.from('000000001000800000aa00389b71', 'hex').copy(format, 26)
  }
  const inner = Buffer.concat([chunk('fmt ', format), chunk('data', body)])
  const head = Buffer.from('RIFF\0\0\0\0WAVE', 'latin1')
  head.writeUInt32LE(4 + inner.length, 4)
  return Buffer.concat([head, inner])
}

/** A quarter of a second of music as raw samples of `bits` bits, in one channel or two. */
export function music(bits: number, channels: 1 | 2 = 1, float = false): Buffer {
  const both = club(11_025)
  const bytes = (bits / 8) * channels * 11_025
  return wav(both.slice(0, channels), { bits, float }).subarray(44, 44 + bytes)
}

/** The same numbers in the upper bytes of wider blocks. */
export function padded(samples: Buffer, bytes: number, wider: number): Buffer {
  const count = samples.length / bytes
  const wide = Buffer.alloc(count * wider)
  for (let i = 0; i < count; i++)
    samples.copy(wide, (i + 1) * wider - bytes, i * bytes, (i + 1) * bytes)
  return wide
}

/** A file of `bytes` bytes that begins with `head` and ends with `tail`; between them are zeros. */
export function sparse(
  head: Buffer,
  bytes: number,
  tail: Buffer = Buffer.alloc(0),
): ByteRanges {
  return {
    bytes,
    async read(start, end) {
      const piece = Buffer.alloc(end - start)
      head.copy(piece, 0, Math.min(start, head.length), Math.min(end, head.length))
      const from = bytes - tail.length
      if (end > from)
        tail.copy(piece, Math.max(0, from - start), Math.max(0, start - from), end - from)
      return piece
    },
  }
}

export function whole(file: Buffer): ByteRanges {
  return { bytes: file.length, read: async (start, end) => file.subarray(start, end) }
}
