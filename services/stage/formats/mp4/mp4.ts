import { cutShort, type Warning, warning } from '#shared/contracts/warnings.ts'
import { whatFollows } from '../behind.ts'
import { type ByteRanges, type ByteWindow, unreadable } from '../byte-window.ts'
import type { Coded } from '../layout.ts'
import { checkPackets } from '../packet-count.ts'
import { type Box, blank, boxAt, find, inside, MAX_BOXES } from './box.ts'
import { mp4Codec } from './codec.ts'
import { type Packets, packetsOf } from './packets.ts'
import { type Times, timesOf } from './times.ts'

/** Maximum size of an index, bytes. That of an hour of AAC takes 0.7 MB, and pictures lie there too. */
const MAX_MOOV_BYTES = 32 << 20

/**
 * An MP4 master. Its times are in seconds, because only a decoder gives the rate: `withTimes` converts them to
 * samples.
 */
export interface Mp4 extends Coded {
  readonly times: Times
}

/**
 * Reads an MP4 file (.m4a, .mp4) with one audio track; undefined when it is not MP4.
 *
 * ffmpeg gets the file on a pipe, with an index (moov) that is reduced to that track: no tags, pictures,
 * chapters and edit list. The start and the end of the music are determined here, because ffmpeg ignores them
 * in fragments. If the index lies behind the samples, it is moved in front of them, and their positions in it
 * are shifted by its length. Source: ISO/IEC 14496-12, sections 4.2, 8.2 to 8.7.
 * @throws PermanentError MASTER_UNREADABLE when the index is missing, the file is encrypted, or it holds
 * something else
 */
export async function mp4File(
  window: ByteWindow,
  file: ByteRanges,
  signal: AbortSignal | undefined,
): Promise<Mp4 | undefined> {
  const head = Buffer.from(await window.glance(0, 8))
  if (head.toString('latin1', 4) !== 'ftyp') return undefined
  const boxes = await topLevel(window)
  const ftyp = boxes[0]
  const index = boxes.find(({ type }) => type === 'moov')
  const samples = boxes.find(({ type }) => SAMPLES.includes(type))
  if (ftyp === undefined || index === undefined || samples === undefined) {
    const lacking = index === undefined ? 'moov (its index)' : 'mdat (its samples)'
    throw unreadable(window.bytes, `an MP4 file without ${lacking}`, 'a whole one')
  }
  if (index.end - index.start > MAX_MOOV_BYTES) {
    throw unreadable(index.start, 'an index that goes on and on', `${MAX_MOOV_BYTES} bytes`)
  }
  const moov = Buffer.from(await file.read(index.start, index.end, signal))
  const root = boxAt(moov, 0, moov.length)
  const track = soundOf(moov, root, index.start)
  const codec = mp4Codec(moov, find(moov, track, STSD)[0], index.start + track.start)
  const isFront = index.start < samples.start
  const room = isFront
    ? { start: index.end, end: window.bytes }
    : { start: ftyp.end, end: index.start }
  const packets = packetsOf(moov, find(moov, track, STBL)[0], room)
  const found = timesOf(moov, root, track, { offset: index.start, there: packets?.before })
  const skipSeconds = found.skipSeconds - (codec.decoder === 'opus' ? preSkip(moov) : 0)
  const times = { ...found, skipSeconds }
  const isFragmented = isFront && find(moov, root, 'mvex').length > 0
  const lacking = packetWarnings(packets, times)
  checkPackets('M4A', packets?.count ?? 0, window.bytes)
  const isCut = lacking.some(({ code }) => code === 'CUT_SHORT')
  const claims = samples.claims > window.bytes && !isCut ? [claimsMore(samples)] : []
  const behind = isFragmented ? [] : await boxesBehind(window, boxes)
  const warnings = [...found.warnings, ...lacking, ...claims, ...behind]
  leaveOnly(moov, root, track, times)
  const seconds = isCut ? times.presentSeconds : times.seconds
  const { scale, units, packetUnits } = times
  const made = {
    kind: 'coded' as const,
    container: 'M4A' as const,
    demuxer: 'mov' as const,
    ...codec,
    times,
    ...(seconds === undefined ? {} : { seconds }),
    ...(packets?.empty ? { empty: packets.empty } : {}),
    ...(isCut ? { isCut } : {}),
    ...(packets !== undefined && !isCut && !isFragmented ? { isWhole: true } : {}),
    ...(warnings.length === 0 ? {} : { warnings }),
  }
  if (isFront) {
    const before = { start: 0, end: index.start }
    const end = isCut ? Math.max(index.end, packets?.end ?? 0) : window.bytes
    const fragments = { start: index.end, scale, units, packetUnits }
    const feed = [before, moov, { start: index.end, end }]
    return { ...made, feed, ...(isFragmented ? { fragments } : {}) }
  }
  moveSamples(moov, track, { from: ftyp.end, by: moov.length })
  const feed = [{ start: 0, end: ftyp.end }, moov, { start: ftyp.end, end: index.start }]
  return { ...made, feed }
}

/** The time that the decoder of Opus skips by itself, seconds, because the header of the stream says so. */
function preSkip(moov: Buffer): number {
  const at = moov.indexOf('dOps') + 6
  return at < 6 || at + 2 > moov.length ? 0 : moov.readUInt16BE(at) / 48_000
}

const SAMPLES = ['mdat', 'moof']
const STBL = 'mdia/minf/stbl'
const STSD = `${STBL}/stsd`

/** Number of packets by which the length may differ: the last packet may be counted in full and be shorter. */
const MAX_LAST_PACKETS = 1.5

/** The layout with the times of an MP4 master converted to samples at the rate of its decoder. */
export function withTimes<Layout extends Coded & { readonly rate: number }>(
  layout: Layout,
  { skipSeconds, mostSeconds, scale, units, packetUnits }: Times,
): Layout {
  const { rate } = layout
  const most = mostSeconds === undefined ? {} : { samples: Math.round(mostSeconds * rate) }
  // If packets are counted in samples (of half the rate, where a decoder doubles it), the length is exact.
  const isExact = units > 0 && (scale === rate || 2 * scale === rate)
  const slack = isExact ? { slack: (MAX_LAST_PACKETS * packetUnits) / scale } : {}
  return { ...layout, skip: Math.round(skipSeconds * rate), ...most, ...slack }
}

/** A box at the top level of the file. */
interface FileBox extends Box {
  /** The end of the box by its own size, which may lie beyond the end of the file. */
  readonly claims: number
}

/**
 * The boxes up to the index and the samples, whichever comes last. If the index comes first, the samples may be
 * cut short.
 */
async function topLevel(window: ByteWindow): Promise<FileBox[]> {
  const boxes: FileBox[] = []
  const isSeen = (types: readonly string[]) => boxes.some(({ type }) => types.includes(type))
  for (let at = 0; at + 8 <= window.bytes; ) {
    if (isSeen(['moov']) && isSeen(SAMPLES)) break
    if (boxes.length === MAX_BOXES) {
      const wrong = `an MP4 file of more than ${MAX_BOXES} boxes`
      throw unreadable(at, wrong, 'moov (its index) and mdat (its samples) among them')
    }
    const box = await fileBox(window, at)
    const isCut = box.type === 'mdat' && isSeen(['moov'])
    if (box.end < box.body || (box.claims > window.bytes && !isCut)) {
      throw unreadable(
        at,
        `the box "${box.type}" claims ${box.claims - at} bytes`,
        `at most the ${window.bytes - at} that follow: the file is cut short`,
      )
    }
    boxes.push(box)
    at = box.end
  }
  return boxes
}

async function fileBox(window: ByteWindow, at: number): Promise<FileBox> {
  const box = boxAt(Buffer.from(await window.glance(at, 16)), 0, window.bytes - at)
  const claims = at + box.end
  return {
    type: box.type,
    start: at,
    body: at + box.body,
    claims,
    end: Math.min(claims, window.bytes),
  }
}

/** Maximum number of boxes that are skipped behind the index and the samples. */
const MAX_BEHIND = 50

/** The warning about another master that begins behind the last box. */
async function boxesBehind(
  window: ByteWindow,
  boxes: readonly FileBox[],
): Promise<readonly Warning[]> {
  let at = boxes.at(-1)?.end ?? 0
  for (let n = 0; n < MAX_BEHIND && at + 8 <= window.bytes; n++) {
    const box = await fileBox(window, at)
    const isBox =
      /^[ -~]{4}$/.test(box.type) && !box.type.includes('?') && box.claims === box.end
    if (box.type === 'ftyp' || !isBox || box.end <= at) break
    at = box.end
  }
  return whatFollows('the M4A', window, at)
}

function claimsMore({ type, start, claims, end }: FileBox): Warning {
  const sentence = `of the M4A the box "${type}" claims ${claims - start} bytes, and ${end - start} are there, with all that its index tells of`
  return warning('HEADER_CONTRADICTS', sentence)
}

/** The warnings about packets in the index that are missing, or that lie where they cannot be read. */
function packetWarnings(packets: Packets | undefined, times: Times): readonly Warning[] {
  if (packets === undefined || packets.before === 0) return []
  const { count, beyond, before, empty, isInOrder } = packets
  const damaged = (what: string) => warning('DAMAGED', `of the M4A ${what}`)
  const found: Warning[] = []
  if (beyond > 0 && before + beyond === count) {
    const { seconds = 0, presentSeconds = 0 } = times
    found.push(cutShort('the M4A', Math.max(seconds, presentSeconds), presentSeconds))
  } else if (beyond > 0) {
    found.push(damaged(`${beyond} of ${count} packets lie beyond the end of the file`))
  }
  if (empty > 0) found.push(damaged(`${empty} of ${count} packets are empty`))
  if (!isInOrder) found.push(damaged('the index places packets where others lie'))
  return found
}

/** The only audio track. Chapters are a text track and are ignored. */
function soundOf(moov: Buffer, root: Box, offset: number): Box {
  const tracks = find(moov, root, 'trak').map((track) => {
    const handler = find(moov, track, 'mdia/hdlr')[0]
    const kind = handler && moov.toString('latin1', handler.body + 8, handler.body + 12)
    return { track, kind }
  })
  const media = tracks.filter(({ kind }) => kind === 'soun' || kind === 'vide')
  const [sound] = media
  if (media.length === 1 && sound?.kind === 'soun') return sound.track
  const words = media.map(({ kind }) => (kind === 'soun' ? 'audio' : 'video')).join(', ')
  throw unreadable(offset, `an MP4 file of the tracks: ${words || 'none'}`, 'one, of audio')
}

/** Blanks everything in the index that is not needed to decode one track. */
function leaveOnly(moov: Buffer, root: Box, track: Box, { isEdited }: Times): void {
  const keep = (parent: Box, types: readonly string[]) => {
    for (const box of inside(moov, parent)) {
      if (!types.includes(box.type) || (box.type === 'trak' && box.start !== track.start)) {
        blank(moov, box)
      }
    }
  }
  keep(root, ['mvhd', 'trak', 'mvex'])
  keep(track, ['tkhd', 'mdia', ...(isEdited ? ['edts'] : [])])
  for (const media of find(moov, track, 'mdia')) keep(media, ['mdhd', 'hdlr', 'minf'])
  for (const table of find(moov, track, 'mdia/minf/stbl')) {
    keep(table, ['stsd', 'stts', 'stsc', 'stsz', 'stz2', 'stco', 'co64'])
  }
}

/** Shifts the positions of the chunks from byte `from` on by `by` bytes. */
function moveSamples(
  moov: Buffer,
  track: Box,
  { from, by }: { from: number; by: number },
): void {
  for (const table of find(moov, track, 'mdia/minf/stbl')) {
    for (const { type, body, end } of inside(moov, table)) {
      if ((type !== 'stco' && type !== 'co64') || end - body < 8) continue
      const width = type === 'stco' ? 4 : 8
      const count = Math.min(moov.readUInt32BE(body + 4), Math.floor((end - body - 8) / width))
      for (let i = 0; i < count; i++) {
        const at = body + 8 + i * width
        if (type === 'stco') {
          const place = moov.readUInt32BE(at)
          if (place >= from) moov.writeUInt32BE(Math.min(place + by, 0xffff_ffff), at)
        } else {
          const place = moov.readBigUInt64BE(at)
          if (place >= from) moov.writeBigUInt64BE(BigInt.asUintN(64, place + BigInt(by)), at)
        }
      }
    }
  }
}
