import { type ByteWindow, unreadable } from '../byte-window.ts'
import { checkRateAndChannels } from '../iff/chunks.ts'
import type { FlacLayout } from '../layout.ts'
import { beforeTags } from '../tags.ts'

const STREAMINFO_BYTES = 34
/**
 * Maximum number of metadata blocks. Real files have a dozen. Reading a megabyte of empty ones takes well under
 * a second.
 */
const MAX_BLOCKS = 250_000

/**
 * The layout of a FLAC stream; undefined when it is not FLAC. Source: RFC 9639, sections 7 and 8.
 * @throws PermanentError MASTER_UNREADABLE when it is FLAC but incomplete
 */
export async function flacLayout(window: ByteWindow): Promise<FlacLayout | undefined> {
  if (new TextDecoder('latin1').decode(await window.glance(0, 4)) !== 'fLaC') return
  const first = await window.view(4, 4 + STREAMINFO_BYTES, 'STREAMINFO')
  if (
    (first.getUint8(0) & 0x7f) !== 0 ||
    (first.getUint32(0) & 0xffffff) !== STREAMINFO_BYTES
  ) {
    throw unreadable(4, 'the first metadata block is another', 'STREAMINFO of 34 bytes')
  }
  const info = new DataView(first.buffer, first.byteOffset + 4, STREAMINFO_BYTES)
  const packed = info.getBigUint64(10)
  const rate = Number(packed >> 44n)
  const channels = Number((packed >> 41n) & 7n) + 1
  checkRateAndChannels(18, rate, channels)
  const offset = await firstFrame(window)
  const streamInfo = new Uint8Array(STREAMINFO_BYTES)
  streamInfo.set(new Uint8Array(info.buffer, info.byteOffset, STREAMINFO_BYTES))
  return {
    kind: 'flac',
    container: 'FLAC',
    bits: Number((packed >> 36n) & 31n) + 1,
    rate,
    channels,
    mask: 0,
    offset,
    end: await beforeTags(window, { start: offset, end: window.bytes }),
    streamInfo,
    samples: Number(packed & 0xfffffffffn),
  }
}

async function firstFrame(window: ByteWindow): Promise<number> {
  let at = 4
  for (let blocks = 0; blocks < MAX_BLOCKS; blocks++) {
    const view = await window.view(at, 4, 'a FLAC metadata block')
    const last = view.getUint8(0) >= 0x80
    const end = at + 4 + (view.getUint32(0) & 0xffffff)
    if (end >= window.bytes) {
      throw unreadable(at, 'the file ends within the metadata', 'audio frames after it')
    }
    at = end
    if (last) return at
  }
  throw unreadable(at, 'the header goes on and on', `at most ${MAX_BLOCKS} metadata blocks`)
}
