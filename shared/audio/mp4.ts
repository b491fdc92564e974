import { type ByteRanges, type ByteWindow, unreadable } from './byte-window.ts'
import type { Coded } from './layout.ts'

/** The index of an hour of AAC takes 0.7 MB; pictures lie there too. */
const MOST_MOOV_BYTES = 32 << 20
const MOST_BOXES = 1000

interface Box {
  readonly type: string
  readonly start: number
  /** First byte of its contents. */
  readonly body: number
  readonly end: number
}

/**
 * An MP4 file (.m4a, .mp4) that holds one track, of AAC or ALAC; undefined when it is no MP4.
 *
 * ffmpeg reads it from a pipe, so the index (moov) has to come before the samples: where it lies behind them it is
 * put in front here, and the places of the samples in it are moved by its length.
 * Source: ISO/IEC 14496-12, sections 4.2, 8.2 to 8.7.
 * @throws PermanentError MASTER_UNREADABLE when it is cut short, encrypted, or holds something else.
 */
export async function mp4File(
  window: ByteWindow,
  file: ByteRanges,
  signal: AbortSignal | undefined,
): Promise<Coded | undefined> {
  const head = Buffer.from(await window.glance(0, 8))
  if (head.toString('latin1', 4) !== 'ftyp') return undefined
  const boxes = await topLevel(window)
  const ftyp = boxes[0]
  const index = boxes.find(({ type }) => type === 'moov')
  const samples = boxes.find(({ type }) => type === 'mdat')
  if (ftyp === undefined || index === undefined || samples === undefined) {
    const lacking = index === undefined ? 'moov (its index)' : 'mdat (its samples)'
    throw unreadable(window.bytes, `an MP4 file without ${lacking}`, 'a whole one')
  }
  if (index.end - index.start > MOST_MOOV_BYTES) {
    throw unreadable(index.start, 'an index that goes on and on', `${MOST_MOOV_BYTES} bytes`)
  }
  const moov = Buffer.from(await file.read(index.start, index.end, signal))
  const track = trackOf(moov, index)
  const made = { kind: 'coded', container: 'M4A', demuxer: 'mov', ...track } as const
  if (index.start < samples.start) {
    return { ...made, feed: [{ start: 0, end: window.bytes }] }
  }
  moveSamples(moov, { from: ftyp.end, by: moov.length })
  const feed = [{ start: 0, end: ftyp.end }, moov, { start: ftyp.end, end: index.start }]
  return { ...made, feed }
}

async function topLevel(window: ByteWindow): Promise<Box[]> {
  const boxes: Box[] = []
  for (let at = 0; at + 8 <= window.bytes; ) {
    const box = boxAt(Buffer.from(await window.glance(at, 16)), 0, window.bytes - at)
    const end = at + box.end
    if (box.end < box.body || end > window.bytes) {
      throw unreadable(
        at,
        `the box "${box.type}" claims ${box.end} bytes`,
        `at most the ${window.bytes - at} that follow: the file is cut short`,
      )
    }
    if (boxes.length === MOST_BOXES) break
    boxes.push({ type: box.type, start: at, body: at + box.body, end })
    at = end
  }
  return boxes
}

/** The box at `at`; a size of 0 means up to `end`. */
function boxAt(bytes: Buffer, at: number, end: number): Box {
  const size = bytes.readUInt32BE(at)
  const type = bytes.toString('latin1', at + 4, at + 8).replace(/[^ -~]/g, '?')
  if (size === 1 && at + 16 <= bytes.length) {
    return { type, start: at, body: at + 16, end: at + Number(bytes.readBigUInt64BE(at + 8)) }
  }
  return { type, start: at, body: at + 8, end: size === 0 ? end : at + size }
}

function* inside(bytes: Buffer, start: number, end: number): Generator<Box> {
  for (let at = start, n = 0; at + 8 <= end; n++) {
    const box = boxAt(bytes, at, end)
    if (box.end < box.body || box.end > end) return
    // Millions of empty boxes would fill the memory.
    if (n === MOST_BOXES) throw unreadable(at, 'an index of boxes without end', `${n} at most`)
    yield box
    at = box.end
  }
}

/** The boxes at the end of a path such as `trak/mdia`. */
function find(bytes: Buffer, { body, end }: Box, path: string): Box[] {
  const [type, ...rest] = path.split('/')
  const found = [...inside(bytes, body, end)].filter((box) => box.type === type)
  return rest.length === 0 ? found : found.flatMap((box) => find(bytes, box, rest.join('/')))
}

function trackOf(moov: Buffer, { start }: Box): Pick<Coded, 'codec' | 'decoder' | 'seconds'> {
  const root = boxAt(moov, 0, moov.length)
  const tracks = find(moov, root, 'trak').map((track) => {
    const handler = find(moov, track, 'mdia/hdlr')[0]
    const entries = find(moov, track, 'mdia/minf/stbl/stsd')[0]
    const header = find(moov, track, 'mdia/mdhd')[0]
    return {
      at: start + track.start,
      seconds: header && secondsOf(moov, header, start),
      kind: handler && moov.toString('latin1', handler.body + 8, handler.body + 12),
      // Version and flags, a count, and then the first entry: its size and its type.
      codec: entries && moov.toString('latin1', entries.body + 12, entries.body + 16),
    }
  })
  // Chapters are a track of text; they do no harm.
  const media = tracks.filter(({ kind }) => kind === 'soun' || kind === 'vide')
  const [sound] = media
  if (media.length !== 1 || sound?.kind !== 'soun') {
    const words = media.map(({ kind }) => (kind === 'soun' ? 'audio' : 'video')).join(', ')
    throw unreadable(start, `an MP4 file of the tracks: ${words || 'none'}`, 'one, of audio')
  }
  const found = sound.codec === undefined ? undefined : CODECS[sound.codec]
  if (found !== undefined) return sound.seconds ? { ...found, seconds: sound.seconds } : found
  throw unreadable(
    sound.at,
    `MP4 samples of the kind "${sound.codec?.replace(/[^ -~]/g, '?')}"`,
    Object.keys(CODECS).join(' or '),
  )
}

/**
 * What a media header says of the track's length; undefined when it says nothing.
 * @throws PermanentError MASTER_UNREADABLE when its time has no scale: frames would be taken to last for ever.
 */
function secondsOf(moov: Buffer, { body, end }: Box, offset: number): number | undefined {
  const isLong = moov[body] === 1
  if (end - body < (isLong ? 32 : 20)) return undefined
  const scale = moov.readUInt32BE(body + (isLong ? 20 : 12))
  const units = isLong ? Number(moov.readBigUInt64BE(body + 24)) : moov.readUInt32BE(body + 16)
  if (scale === 0) throw unreadable(offset + body, 'a time scale of 0', '1 or more')
  return units < UNKNOWN_32 ? units / scale : undefined
}

const UNKNOWN_32 = 0xffff_ffff

const CODECS: Record<string, Pick<Coded, 'codec' | 'decoder'>> = {
  mp4a: { codec: 'AAC', decoder: 'aac' },
  alac: { codec: 'ALAC', decoder: 'alac' },
}

/** The chunks of samples from byte `from` on lie `by` bytes further. */
function moveSamples(moov: Buffer, { from, by }: { from: number; by: number }): void {
  const root = boxAt(moov, 0, moov.length)
  for (const table of find(moov, root, 'trak/mdia/minf/stbl')) {
    for (const { type, body, end } of inside(moov, table.body, table.end)) {
      if ((type !== 'stco' && type !== 'co64') || end - body < 8) continue
      const width = type === 'stco' ? 4 : 8
      const count = Math.min(moov.readUInt32BE(body + 4), Math.floor((end - body - 8) / width))
      for (let i = 0; i < count; i++) {
        const at = body + 8 + i * width
        if (type === 'stco') {
          const place = moov.readUInt32BE(at)
          if (place >= from) moov.writeUInt32BE((place + by) >>> 0, at)
        } else {
          const place = moov.readBigUInt64BE(at)
          if (place >= from) moov.writeBigUInt64BE(BigInt.asUintN(64, place + BigInt(by)), at)
        }
      }
    }
  }
}
