import { unreadable } from '../byte-window.ts'
import type { Coded } from '../layout.ts'
import { type Box, boxAt } from './box.ts'

/**
 * The codec of an MP4 track, from the first entry of its `stsd` box. Sources: ISO/IEC 14496-12, 8.5.2; 14496-1,
 * 7.2.6 (the descriptors of `esds`); mp4ra.org (names and numbers).
 * @throws PermanentError MASTER_UNREADABLE, with the name of the codec, when it is not accepted
 */
export function mp4Codec(
  moov: Buffer,
  stsd: Box | undefined,
  at: number,
): Pick<Coded, 'codec' | 'decoder'> {
  // Version, flags and a count precede the first entry.
  const first =
    stsd && stsd.body + 16 <= stsd.end ? boxAt(moov, stsd.body + 8, stsd.end) : undefined
  const kind = first?.type ?? ''
  const object = kind === 'mp4a' && first ? objectType(moov.subarray(first.body, first.end)) : 0
  const found = object === undefined || object === 0 ? KINDS[kind] : OBJECTS[object]
  if (found?.decoder !== undefined) return { codec: found.codec, decoder: found.decoder }
  const name = found === undefined ? 'something that is not known here' : found.codec
  const number = object ? `, object type 0x${object.toString(16)}` : ''
  throw unreadable(
    at,
    `an MP4 file of ${name} (kind "${kind}"${number})`,
    'AAC, ALAC, MP3, Opus or FLAC',
  )
}

/** A known codec. Without a decoder it is not accepted. */
interface Known {
  readonly codec: string
  readonly decoder?: string
}

const AAC = { codec: 'AAC', decoder: 'aac' }
const MP3 = { codec: 'MP3', decoder: 'mp3' }
const PCM = { codec: 'PCM' }

const KINDS: Readonly<Record<string, Known>> = {
  mp4a: AAC,
  alac: { codec: 'ALAC', decoder: 'alac' },
  Opus: { codec: 'Opus', decoder: 'opus' },
  fLaC: { codec: 'FLAC', decoder: 'flac' },
  '.mp3': MP3,
  'ms?U': MP3,
  'ac-3': { codec: 'AC-3 (Dolby Digital)' },
  'ec-3': { codec: 'E-AC-3 (Dolby Digital Plus)' },
  'ac-4': { codec: 'AC-4' },
  mlpa: { codec: 'Dolby TrueHD' },
  dtsc: { codec: 'DTS' },
  dtsh: { codec: 'DTS-HD' },
  dtsl: { codec: 'DTS-HD' },
  mha1: { codec: 'MPEG-H' },
  mhm1: { codec: 'MPEG-H' },
  samr: { codec: 'AMR (speech)' },
  sawb: { codec: 'AMR (speech)' },
  enca: { codec: 'encrypted sound' },
  drms: { codec: 'encrypted sound' },
  lpcm: PCM,
  sowt: PCM,
  twos: PCM,
  in24: PCM,
  in32: PCM,
  fl32: PCM,
  fl64: PCM,
  ipcm: PCM,
  fpcm: PCM,
  'raw ': PCM,
}

const OBJECTS: Readonly<Record<number, Known>> = {
  64: AAC,
  102: AAC,
  103: AAC,
  104: AAC,
  105: MP3,
  107: MP3,
  165: { codec: 'AC-3 (Dolby Digital)' },
  166: { codec: 'E-AC-3 (Dolby Digital Plus)' },
  169: { codec: 'DTS' },
  221: { codec: 'Vorbis' },
  225: { codec: 'QCELP (speech)' },
}

/** The number of the codec in the descriptors of an `esds` box; undefined when there is none. */
function objectType(entry: Buffer): number | undefined {
  const box = entry.indexOf('esds')
  if (box < 0) return undefined
  let at = afterHead(entry, box + 8, 3)
  if (at === undefined) return undefined
  const flags = entry[at + 2] ?? 0
  at += 3 + (flags & 0x80 ? 2 : 0)
  if (flags & 0x40) at += 1 + (entry[at] ?? 0)
  if (flags & 0x20) at += 2
  const config = afterHead(entry, at, 4)
  return config === undefined ? undefined : entry[config]
}

/** Position of the contents of a descriptor, behind its tag and its length of up to four bytes. */
function afterHead(bytes: Buffer, at: number, tag: number): number | undefined {
  if (bytes[at] !== tag) return undefined
  let next = at + 1
  while (next < at + 4 && ((bytes[next] ?? 0) & 0x80) !== 0) next++
  return next + 1
}
