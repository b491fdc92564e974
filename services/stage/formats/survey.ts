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
import { readHeader } from './read-header.ts'

/**
 * What a master is: its header, and where that does not tell what comes out of a decoder, a look at its first frames;
 * of a FLAC stream a look at whether its frames are those that the header promises.
 * @throws PermanentError MASTER_UNREADABLE
 */
export async function survey(file: MasterBytes, signal: AbortSignal): Promise<Layout> {
  const header = await readHeader(file, signal)
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

/** What ffmpeg is fed with of a compressed master. `noticed` is told what is passed over. */
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

/** The fragments are the last of the feed. */
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

/** What is yet to be noticed when a decoder has stopped reading: by then it has made all that it will. */
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
