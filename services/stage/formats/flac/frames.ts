import { type ByteRanges, unreadable } from '../byte-window.ts'
import type { FlacLayout } from '../layout.ts'
import { type SoundFrame, soundFrames } from './sound.ts'

/** The position of a frame. */
type FlacFrame = Pick<SoundFrame, 'byte' | 'sample' | 'length'>

const WINDOW_BYTES = 128 << 10
/**
 * Maximum size of a frame, bytes: eight channels of 65,535 samples of 32 bits, stored verbatim, and a little
 * more.
 */
const MAX_FRAME_BYTES = 4 << 20
/** Size of a window that holds a whole frame, wherever it begins in the first half. */
const MAX_WINDOW_BYTES = 2 * MAX_FRAME_BYTES
const MAX_PROBES = 60
/** Maximum number of bytes read to find one frame. In a sound stream less than 4 MiB are read. */
const MAX_LOOKED_BYTES = 48 << 20

/**
 * The frame that holds a sample. It is found by the number that every frame carries, without decoding what
 * precedes it. In a damaged stream it is the last sound frame before the sample. Source: RFC 9639, section 9.
 * @throws PermanentError MASTER_UNREADABLE when too many bytes would have to be read
 */
export async function flacFrameAt(
  file: ByteRanges,
  layout: FlacLayout & { readonly samples: number },
  sample: number,
  signal?: AbortSignal,
): Promise<FlacFrame> {
  const look = looking(file, layout, signal)
  let low: FlacFrame = { byte: layout.offset, sample: 0, length: 0 }
  let high = { byte: layout.end, sample: layout.samples }
  for (let n = 0; high.byte - low.byte > 2 * WINDOW_BYTES && n < MAX_PROBES; n++) {
    const share = (sample - low.sample) / Math.max(1, high.sample - low.sample)
    // The density of music varies. Every third guess halves the range, for cases in which guessing by length
    // gains little.
    const guess = n % 3 === 2 ? 0.5 : Math.min(0.98, Math.max(0, share - 0.01))
    const from = low.byte + Math.floor(guess * (high.byte - low.byte))
    const frames = await look(from)
    const first = frames[0]
    if (first === undefined || first.byte >= high.byte) {
      high = { ...high, byte: from }
      continue
    }
    const last = frames.findLast((frame) => frame.sample <= sample)
    if (last === undefined)
      high = first.byte > from ? { byte: from, sample: first.sample } : first
    else {
      if (sample < last.sample + last.length) return last
      low = last
    }
  }
  for (let from = low.byte; ; ) {
    const frames = await look(from)
    const last = frames.findLast((frame) => frame.sample <= sample)
    if (last === undefined) return low
    low = last
    if (sample < last.sample + last.length || last.byte === from || last !== frames.at(-1)) {
      return low
    }
    from = last.byte
  }
}

/** The last sound frame of a stream; undefined when there is none near the end. */
export async function lastFlacFrame(
  file: ByteRanges,
  layout: FlacLayout,
  signal?: AbortSignal,
): Promise<SoundFrame | undefined> {
  const look = looking(file, layout, signal)
  for (let bytes = WINDOW_BYTES; ; bytes *= 4) {
    const from = Math.max(layout.offset, layout.end - bytes)
    const last = (await look(from, layout.end - from)).at(-1)
    if (last !== undefined) return last
    if (from === layout.offset || bytes > MAX_FRAME_BYTES) return undefined
  }
}

/** The first sound frame from byte `from` on; undefined when there is none near. */
export async function nextFlacFrame(
  file: ByteRanges,
  layout: FlacLayout,
  from: number,
  signal?: AbortSignal,
): Promise<SoundFrame | undefined> {
  return (await looking(file, layout, signal)(from))[0]
}

/** All sound frames in the order of the stream, one window at a time. */
export async function* allFlacFrames(
  file: ByteRanges,
  layout: FlacLayout,
  signal?: AbortSignal,
): AsyncGenerator<SoundFrame[]> {
  for (let from = layout.offset; from < layout.end; ) {
    // Each window has its own limit; the total is limited by the length of the stream.
    const frames = await looking(file, layout, signal)(from, SCAN_BYTES)
    yield frames
    from = frames.at(-1)?.end ?? from + MAX_WINDOW_BYTES - MAX_FRAME_BYTES
  }
}

const SCAN_BYTES = 1 << 20

/**
 * Returns a function that finds the sound frames in a window from a byte on. A frame that extends beyond the
 * window is left out.
 */
function looking(file: ByteRanges, layout: FlacLayout, signal: AbortSignal | undefined) {
  let looked = 0
  return async (from: number, atFirst = WINDOW_BYTES): Promise<SoundFrame[]> => {
    for (let bytes = atFirst; ; bytes = Math.min(bytes * 4, MAX_WINDOW_BYTES)) {
      const end = Math.min(layout.end, from + bytes)
      looked += end - from
      if (looked > MAX_LOOKED_BYTES) {
        throw unreadable(from, 'no sound FLAC frame for long', 'frames that follow each other')
      }
      const view = await file.read(from, end, signal)
      signal?.throwIfAborted()
      const ends = end === layout.end ? [view.length] : []
      const found = await soundFrames(view, ends, layout)
      const frames = found.map((frame) => ({
        ...frame,
        byte: from + frame.byte,
        end: from + frame.end,
      }))
      if (frames.length > 0 || end === layout.end || bytes === MAX_WINDOW_BYTES) return frames
    }
  }
}
