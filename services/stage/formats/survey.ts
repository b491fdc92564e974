import { type Warning, warning } from '#shared/contracts/warnings.ts'
import { anotherFollows, whatFollows } from './behind.ts'
import { ByteWindow, type MasterBytes } from './byte-window.ts'
import { firstFrame } from './first-frame.ts'
import { flacSurvey } from './flac/survey.ts'
import type { Coded, CodedLayout, Layout } from './layout.ts'
import { type Mp4, withTimes } from './mp4/mp4.ts'
import { Mp4Walk } from './mp4/walk.ts'
import { mpegFrames } from './mpeg/frames.ts'
import { noFramesSeen } from './mpeg/frames-seen.ts'
import type { Noticed } from './noticed.ts'
import { type Header, readHeader } from './read-header.ts'

/**
 * Determines the layout of a master: its header; for a compressed master also its first decoded frame; for FLAC
 * also whether its frames agree with the header.
 * @throws PermanentError MASTER_UNREADABLE
 */
export async function survey(file: MasterBytes, signal: AbortSignal): Promise<Layout> {
  return surveyed(await readHeader(file, signal), file, signal)
}

/** The same, when the header has been read. */
export async function surveyed(
  header: Header,
  file: MasterBytes,
  signal: AbortSignal,
): Promise<Layout> {
  if (header.kind === 'coded') return codedLayout(header, file, signal)
  return header.kind === 'pcm' ? header : flacSurvey(file, header, signal)
}

async function codedLayout(
  header: Coded | Mp4,
  file: MasterBytes,
  signal: AbortSignal,
): Promise<CodedLayout> {
  const layout = await firstFrame(header, codedBytes(header, file, signal), signal)
  return 'times' in header ? withTimes(layout, header.times) : layout
}

/** The input of ffmpeg for a compressed master. @param noticed receives what is skipped on the way */
export function codedBytes(
  { feed, sift, fragments }: Coded,
  file: MasterBytes,
  signal: AbortSignal,
  noticed?: Noticed,
): AsyncGenerator<Uint8Array> {
  const bytes = bytesOf(feed, file, signal)
  if (fragments !== undefined && noticed !== undefined) {
    const walk = new Mp4Walk(fragments.start, file.bytes, fragments)
    noticed.walk = walk
    return walked(feed, file, walk, signal)
  }
  if (sift === undefined) return bytes
  const seen = noFramesSeen()
  if (noticed !== undefined) noticed.frames = seen
  const [range] = feed
  const start = range === undefined || range instanceof Uint8Array ? 0 : range.start
  return mpegFrames(bytes, sift, { start, seen })
}

/** Streams the feed and passes its last part, the fragments, to `walk`. */
async function* walked(
  feed: Coded['feed'],
  file: MasterBytes,
  walk: Mp4Walk,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield* bytesOf(feed.slice(0, -1), file, signal)
  for await (const piece of bytesOf(feed.slice(-1), file, signal)) {
    walk.add(piece)
    yield piece
  }
}

/**
 * Completes `noticed` when the decoder has stopped reading and no more samples will come, and returns the
 * warnings about what follows.
 */
export async function noticeRest(
  { container }: Coded,
  file: MasterBytes,
  signal: AbortSignal,
  noticed: Noticed,
): Promise<readonly Warning[]> {
  const { walk } = noticed
  if (walk === undefined) return []
  for await (const piece of file.stream(walk.at, file.bytes, signal)) walk.add(piece)
  const { other, endAt, againAt } = walk.seen
  if (againAt !== undefined) {
    const sentence = `behind the fragments of the ${container}, at byte ${againAt}, another ${container} begins, whose time begins anew: parts of it may be left out`
    return [warning('MORE_FOLLOWS', sentence)]
  }
  if (other !== undefined) {
    return [anotherFollows(`the ${container}`, { name: 'MP4', at: other }, file.bytes)]
  }
  const window = new ByteWindow(file, signal)
  return endAt === undefined ? [] : whatFollows(`the ${container}`, window, endAt)
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
