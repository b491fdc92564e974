import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { Gap } from '../gap.ts'
import {
  HEADER_BYTES,
  isAlike,
  MAX_FRAME_BYTES,
  type MpegFrame,
  mpegFrame,
  needsMore,
} from './frame.ts'
import { type FramesSeen, noFramesSeen, seeFrames, seeGap } from './frames-seen.ts'
import { isLengthTag } from './tag.ts'

/** Number of consecutive headers that cannot be an accident. */
const CHAIN = 3
/** Number of bytes needed to check that many consecutive frames. */
export const CHAIN_BYTES = CHAIN * MAX_FRAME_BYTES + HEADER_BYTES

/**
 * The first position from `from` on, and before `to`, at which consecutive frames begin; undefined when there
 * is none. Each byte is examined once, and a header at most twice more.
 * @param isEnd whether the stream ends with `bytes`; then fewer frames are enough
 */
export function findFrames(
  bytes: Uint8Array,
  { from, to, isEnd }: { from: number; to: number; isEnd: boolean },
): { readonly at: number; readonly frame: MpegFrame } | undefined {
  for (
    let at = bytes.indexOf(0xff, from);
    at >= 0 && at < to;
    at = bytes.indexOf(0xff, at + 1)
  ) {
    const frame = mpegFrame(bytes, at)
    if (frame !== undefined && isChain(bytes, at, frame, isEnd)) return { at, frame }
  }
  return undefined
}

/** Whether similar frames follow the frame at `at`, or at least one of them and then the end. */
function isChain(bytes: Uint8Array, at: number, frame: MpegFrame, isEnd: boolean): boolean {
  let next = at + frame.bytes
  for (let n = 1; n < CHAIN; n++) {
    if (next + HEADER_BYTES > bytes.length) return isEnd && n > 1
    const found = mpegFrame(bytes, next)
    if (found === undefined || !isAlike(found, frame)) return false
    next += found.bytes
  }
  return true
}

/**
 * Yields the whole frames of a stream of MPEG audio or ADTS, without what lies before, between and behind them:
 * tags, pictures, damage, and the frames without music in which encoders note the length of the file.
 *
 * Each byte is examined a bounded number of times, whatever the stream.
 * @param first the frame that all frames have to resemble
 * @param options.start the position in the master at which the stream begins
 * @param options.seen collects what is found; it is complete once the last frame has been yielded
 * @throws PermanentError MASTER_UNREADABLE where frames of another rate or with other channels begin
 */
export async function* mpegFrames(
  pieces: AsyncIterable<Uint8Array>,
  first: MpegFrame,
  { start = 0, seen = noFramesSeen() }: { start?: number; seen?: FramesSeen } = {},
): AsyncGenerator<Uint8Array> {
  let held = Buffer.alloc(0)
  let isInStep = false
  let byte = start
  let frames = 0
  let gap: { readonly at: number; readonly it: Gap } | undefined
  const run = (from: number, to: number): Uint8Array => {
    const bytes = held.subarray(from, to)
    seeFrames(seen, frames, bytes)
    frames = 0
    return bytes
  }
  const pass = (from: number, to: number) => {
    gap ??= { at: byte + from, it: new Gap() }
    gap.it.add(held.subarray(from, to))
  }
  const closeGap = (next: Parameters<typeof seeGap>[3]) => {
    const isPassed = gap === undefined || seeGap(seen, gap.it, gap.at, next)
    if (!isPassed) seen.reservoir.again()
    gap = undefined
  }
  function* whole(isEnd: boolean): Generator<Uint8Array> {
    let at = 0
    let runStart = 0
    const least = isEnd ? HEADER_BYTES : CHAIN_BYTES
    while (held.length - at >= least) {
      const frame = isInStep ? mpegFrame(held, at) : undefined
      if (frame !== undefined && isAlike(frame, first)) {
        if (at + frame.bytes > held.length) break
        if (isLengthTag(held, at, frame)) {
          yield run(runStart, at)
          runStart = at + frame.bytes
          seen.tags++
          checkJoined(seen, first, byte + at)
          seen.reservoir.again(true)
        } else {
          frames++
          if (frame.kind === 3) seen.reservoir.add(held, at, frame)
        }
        at += frame.bytes
        seen.end = byte + at
        continue
      }
      yield run(runStart, at)
      // Every frame except the last ones has others behind it.
      const to = isEnd ? held.length : held.length - CHAIN_BYTES + 1
      const found = findFrames(held, { from: at, to, isEnd })
      if (found !== undefined && !isAlike(found.frame, first)) {
        throw changed(first, found.frame, byte + found.at)
      }
      isInStep = found !== undefined
      const next = found?.at ?? to
      pass(at, next)
      at = next
      if (found !== undefined) closeGap(afterGap(held, at, found.frame))
      runStart = at
    }
    yield run(runStart, at)
    if (isEnd && isInStep) seen.isCut = held[at] === 0xff
    else if (isEnd) {
      pass(at, held.length)
      closeGap('end')
    }
    byte += at
    held = held.subarray(at)
  }
  for await (const piece of pieces) {
    held = Buffer.concat([held, piece])
    for (const run of whole(false)) if (run.length > 0) yield run
  }
  for (const run of whole(true)) if (run.length > 0) yield run
}

/** Maximum number of joined MP3s that are shorter than a second on average. More cannot be music. */
const MAX_SHORT_FILES = 1000

/** Checks the number of very short joined files. @throws PermanentError MASTER_UNREADABLE */
function checkJoined({ tags, frames }: FramesSeen, { samples, rate }: MpegFrame, byte: number) {
  if (tags <= MAX_SHORT_FILES || frames * samples >= tags * rate) return
  const each = ((frames * samples) / rate / tags).toFixed(3)
  const words = `the stream is of more than ${MAX_SHORT_FILES} MP3s that were joined, of ${each} s each, up to byte ${byte}; no music is cut so small`
  throw new PermanentError('MASTER_UNREADABLE', words, { at: `byte ${byte}` })
}

/** Whether the frame behind a gap can begin a stream, or needs data from before. */
function afterGap(bytes: Uint8Array, at: number, frame: MpegFrame): 'alone' | 'needs-more' {
  return needsMore(bytes, at, frame) && !isLengthTag(bytes, at, frame) ? 'needs-more' : 'alone'
}

function changed(from: MpegFrame, to: MpegFrame, byte: number): PermanentError {
  return new PermanentError(
    'MASTER_UNREADABLE',
    `the ${nameOf(from)} stream changes at byte ${byte}: from ${format(from)} to ${format(to)}; expected one rate and one number of channels throughout`,
    { at: `byte ${byte}` },
  )
}

function format({ kind, rate, channels }: MpegFrame): string {
  return `${nameOf({ kind })} of ${rate} Hz, ${channels} ${channels === 1 ? 'channel' : 'channels'}`
}

/** The name of the format in messages, for example `MP3` for layer III and `AAC` for ADTS. */
export function nameOf({ kind }: Pick<MpegFrame, 'kind'>): string {
  return kind === 'adts' ? 'AAC' : `MP${kind}`
}
