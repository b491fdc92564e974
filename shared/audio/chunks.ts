import { type ByteWindow, fourCc, unreadable } from './byte-window.ts'
import type { PcmLayout } from './layout.ts'

interface Chunk {
  readonly id: string
  /** First byte of its contents. */
  readonly offset: number
  /** As the chunk says. */
  readonly size: number
}

/** What a header says of the samples, before it is known how many there are. */
export interface Format
  extends Pick<
    PcmLayout,
    'encoding' | 'bits' | 'unsigned' | 'bigEndian' | 'rate' | 'channels' | 'mask'
  > {
  /** The byte where the file says so. */
  readonly at: number
}

const LIMIT_CHUNKS = 1000

/** The chunks of an IFF-like file, after its twelve bytes. The caller stops when it knows enough. */
export async function* chunks(
  window: ByteWindow,
  littleEndian: boolean,
): AsyncGenerator<Chunk> {
  let at = 12
  for (let n = 0; at + 8 <= window.bytes; n++) {
    if (n === LIMIT_CHUNKS) {
      throw unreadable(at, `more than ${LIMIT_CHUNKS} chunks`, 'the samples before that')
    }
    const view = await window.view(at, 8, 'a chunk header')
    const chunk = {
      id: fourCc(view),
      offset: at + 8,
      size: view.getUint32(4, littleEndian),
    }
    yield chunk
    if (chunk.offset + chunk.size > window.bytes) {
      throw unreadable(
        at + 4,
        `the chunk "${chunk.id}" claims ${chunk.size} bytes`,
        `at most the ${window.bytes - chunk.offset} that follow`,
      )
    }
    at = chunk.offset + chunk.size + (chunk.size % 2)
    // Some writers leave out the byte that should follow a chunk of odd size.
    if (chunk.size % 2 === 1 && (await startsChunk(window, at - 1, littleEndian))) {
      if (!(await startsChunk(window, at, littleEndian))) at -= 1
    }
  }
}

async function startsChunk(
  window: ByteWindow,
  at: number,
  littleEndian: boolean,
): Promise<boolean> {
  if (at + 8 > window.bytes) return false
  const view = await window.view(at, 8, 'a chunk header')
  const id = fourCc(view)
  return (
    /^[A-Za-z0-9 ()._-]{4}$/.test(id) &&
    at + 8 + view.getUint32(4, littleEndian) <= window.bytes
  )
}

/**
 * How many bytes of samples are really there. A size of 0 or 0xFFFFFFFF is what a writer leaves
 * that could not come back to fill it in, unless the file ends where its header says.
 */
export function presentBytes(
  window: ByteWindow,
  offset: number,
  size: number,
  outerEnd: number | undefined,
): number {
  const there = Math.max(0, window.bytes - offset)
  // A byte of padding may be missing at the very end.
  if (size === 0) return Math.abs((outerEnd ?? 0) - window.bytes) <= 1 ? 0 : there
  return Math.min(size, there)
}

const WIDTHS = { int: [8, 16, 24, 32], float: [32, 64], alaw: [8], mulaw: [8] }

/** The layout of `bytes` bytes of samples. @throws PermanentError MASTER_UNREADABLE */
export function pcm(
  container: PcmLayout['container'],
  format: Format,
  offset: number,
  bytes: number,
): PcmLayout {
  const { at, ...described } = format
  checkRateAndChannels(at, format.rate, format.channels)
  const widths = WIDTHS[format.encoding]
  if (!widths.includes(format.bits)) {
    throw unreadable(
      at,
      `${format.bits}-bit ${format.encoding} samples`,
      `${widths.join(', ')} bits`,
    )
  }
  const samples = Math.floor(bytes / ((format.bits / 8) * format.channels))
  if (samples === 0) throw unreadable(offset, 'the master holds no samples', 'one or more')
  return { kind: 'pcm', container, ...described, offset, samples }
}

/** @throws PermanentError MASTER_UNREADABLE when no music has such a rate or so many channels. */
export function checkRateAndChannels(at: number, rate: number, channels: number): void {
  if (!(rate >= 4000 && rate <= 768_000)) {
    throw unreadable(at, `a rate of ${rate} Hz`, '4000 to 768000 Hz')
  }
  if (channels < 1 || channels > 8) throw unreadable(at, `${channels} channels`, '1 to 8')
}
