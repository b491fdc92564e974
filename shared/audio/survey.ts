import { type MasterBytes, unreadable } from './byte-window.ts'
import { firstFrame } from './first-frame.ts'
import { flacLength } from './flac-frames.ts'
import { readHeader } from './header.ts'
import type { Coded, Layout } from './layout.ts'
import { mpegFrames } from './mpeg-frames.ts'

/**
 * What a master is: its header, and where that does not tell what comes out of a decoder, a look at its first frames;
 * how long a FLAC stream is that does not say so, by its last one.
 * @throws PermanentError MASTER_UNREADABLE
 */
export async function survey(file: MasterBytes, signal: AbortSignal): Promise<Layout> {
  const header = await readHeader(file, signal)
  if (header.kind === 'coded')
    return firstFrame(header, codedBytes(header, file, signal), signal)
  if (header.kind === 'pcm' || header.samples > 0) return header
  const samples = await flacLength(file, header, signal)
  if (samples > 0) return { ...header, samples }
  throw unreadable(header.offset, 'a FLAC stream without a sound frame', 'one or more')
}

/** What ffmpeg is fed with of a compressed master. */
export function codedBytes(
  { feed, sift }: Coded,
  file: MasterBytes,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const bytes = bytesOf(feed, file, signal)
  return sift === undefined ? bytes : mpegFrames(bytes, sift)
}

async function* bytesOf(
  feed: Coded['feed'],
  file: MasterBytes,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const piece of feed) {
    if (piece instanceof Uint8Array) yield piece
    else yield* file.stream(piece.start, piece.end, signal)
  }
}
