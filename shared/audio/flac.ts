import { type ByteWindow, fourCc, unreadable } from './byte-window.ts'
import { checkRateAndChannels } from './chunks.ts'
import type { FlacLayout } from './layout.ts'

const STREAMINFO_BYTES = 34

/**
 * The layout of a FLAC stream, with an ID3v2 tag before it or without; undefined when it is none.
 * Source: RFC 9639, sections 7 and 8.
 * @throws PermanentError MASTER_UNREADABLE when it is one, but not a whole one.
 */
export async function flacLayout(window: ByteWindow): Promise<FlacLayout | undefined> {
  const start = await afterId3(window)
  if (new TextDecoder('latin1').decode(await window.glance(start, 4)) !== 'fLaC') return
  const first = await window.view(start + 4, 4 + STREAMINFO_BYTES, 'STREAMINFO')
  if (
    (first.getUint8(0) & 0x7f) !== 0 ||
    (first.getUint32(0) & 0xffffff) !== STREAMINFO_BYTES
  ) {
    throw unreadable(start + 4, 'the first metadata block is another', 'STREAMINFO of 34 bytes')
  }
  const info = new DataView(first.buffer, first.byteOffset + 4, STREAMINFO_BYTES)
  const packed = info.getBigUint64(10)
  const rate = Number(packed >> 44n)
  const channels = Number((packed >> 41n) & 7n) + 1
  checkRateAndChannels(start + 18, rate, channels)
  const streamInfo = new Uint8Array(STREAMINFO_BYTES)
  streamInfo.set(new Uint8Array(info.buffer, info.byteOffset, STREAMINFO_BYTES))
  return {
    kind: 'flac',
    container: 'FLAC',
    bits: Number((packed >> 36n) & 31n) + 1,
    rate,
    channels,
    mask: 0,
    offset: await firstFrame(window, start + 4),
    streamInfo,
    samples: Number(packed & 0xfffffffffn),
  }
}

async function firstFrame(window: ByteWindow, firstBlock: number): Promise<number> {
  let at = firstBlock
  for (;;) {
    const view = await window.view(at, 4, 'a FLAC metadata block')
    const last = view.getUint8(0) >= 0x80
    const end = at + 4 + (view.getUint32(0) & 0xffffff)
    if (end >= window.bytes) {
      throw unreadable(at, 'the file ends within the metadata', 'audio frames after it')
    }
    at = end
    if (last) return at
  }
}

async function afterId3(window: ByteWindow): Promise<number> {
  const head = await window.glance(0, 10)
  if (head.length < 10) return 0
  const view = new DataView(head.buffer, head.byteOffset, head.length)
  if (!fourCc(view).startsWith('ID3')) return 0
  const size = [6, 7, 8, 9].reduce((sum, i) => sum * 128 + (view.getUint8(i) & 0x7f), 0)
  return 10 + size + ((view.getUint8(5) & 0x10) !== 0 ? 10 : 0)
}
