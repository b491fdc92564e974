import { type ByteRanges, ByteWindow, fourCc } from '../byte-window.ts'
import type { PcmLayout } from '../layout.ts'
import { chunks } from './chunks.ts'
import { isUnknown } from './sound-size.ts'
import { ENCODINGS, wavFormat } from './wav-format.ts'

/**
 * The layout of a WAV as its first bytes state it, if all of its numbers agree with each other and with the length of
 * the file; otherwise undefined. An examination of the samples either finds the same or has a warning about it. So the
 * two have to be changed together.
 * @throws PermanentError when the header is not that of a WAV that can be read
 */
export async function statedWav(
  file: ByteRanges,
  signal: AbortSignal,
): Promise<PcmLayout | undefined> {
  const window = new ByteWindow(file, signal)
  const head = await window.view(0, 12, 'the RIFF header')
  if (fourCc(head) !== 'RIFF' || fourCc(head, 8) !== 'WAVE') return undefined
  if (head.getUint32(4, true) + 8 !== window.bytes) return undefined
  let format: Awaited<ReturnType<typeof wavFormat>> | undefined
  for await (const { id, offset, size } of chunks(window, true)) {
    if (id === 'fmt ') format ??= await wavFormat(window, { offset, size }, true)
    if (id !== 'data') continue
    if (format === undefined || size === 0 || isUnknown(size)) return undefined
    const { tag, bits, validBits, channels, rate, byteRate, blockBytes, mask } = format
    const encoding = ENCODINGS[tag]
    const block = (bits / 8) * channels
    const isSound = blockBytes === block && byteRate === block * rate
    const isFilled = bits % 8 === 0 && (validBits === 0 || validBits === bits)
    if (encoding === undefined || !isSound || !isFilled || offset + size > window.bytes) {
      return undefined
    }
    return {
      ...{ kind: 'pcm', container: 'WAV', encoding, bits, bigEndian: false, rate, channels },
      unsigned: encoding === 'int' && bits === 8,
      ...{ mask, offset, samples: Math.floor(size / block) },
    }
  }
  return undefined
}
