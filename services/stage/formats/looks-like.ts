/**
 * Describes in a message what kind of file this is, judging by its first bytes. It does not quote the bytes, so
 * that the same kind of fault is always described in the same words.
 */
export function looksLike(head: Uint8Array): string {
  // TextDecoder is not used, because its latin1 is Windows-1252.
  const text = Buffer.from(head).toString('latin1')
  const known = MAGIC.find(([magic]) => text.startsWith(magic))?.[1]
  if (known) return `looks like ${known}`
  if (isUtf16(head)) return 'looks like text'
  if (isLatm(head)) return 'looks like AAC in LATM'
  if (isMpeg(head)) {
    return (head[2] ?? 0) >> 4 === 0 && ((head[1] ?? 0) & 6) !== 0
      ? 'looks like MPEG audio of a free bit rate, which cannot be decoded here'
      : 'looks like MPEG audio, but no second frame follows the first'
  }
  if (head.every((byte) => byte === 0 || byte === 0x20)) {
    return 'the master holds nothing but zeros or blanks'
  }
  return isText(head) ? 'looks like text' : 'begins with bytes that are no audio known here'
}

/**
 * The kind of master that begins at byte `at`, for messages; undefined when the first bytes are not those of a
 * master.
 */
export function masterAt(bytes: Buffer, at: number): string | undefined {
  const text = bytes.toString('latin1', at, at + 12)
  const [id, type, form] = [text.slice(0, 4), text.slice(4, 8), text.slice(8)]
  if (form === 'WAVE' && /^(RIF[FX]|RF64|BW64)$/.test(id)) return 'WAV'
  if (id === 'FORM' && /^AIF[FC]$/.test(form)) return 'AIFF'
  if (type === 'ftyp') return 'MP4'
  return MASTERS.find(([magic]) => text.startsWith(magic))?.[1]
}

/** Whether a file is of a known kind that is not accepted. */
export function isKnown(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString('latin1')
  return MAGIC.some(([magic]) => text.startsWith(magic))
}

/** Whether this is UTF-16 text, whose byte order mark looks like the beginning of a frame of MPEG audio. */
function isUtf16(head: Uint8Array): boolean {
  return (
    head[0] === 0xff &&
    head[1] === 0xfe &&
    isText(head.filter((_, at) => at > 1 && at % 2 === 0))
  )
}

/** Whether this begins with a frame of LATM, and another one follows it. Source: ISO/IEC 14496-3, 1.7.2. */
function isLatm(head: Uint8Array): boolean {
  const isSync = (at: number) => head[at] === 0x56 && ((head[at + 1] ?? 0) & 0xe0) === 0xe0
  const next = 3 + ((((head[1] ?? 0) & 0x1f) << 8) | (head[2] ?? 0))
  return isSync(0) && (next + 2 > head.length || isSync(next))
}

export function isText(head: Uint8Array): boolean {
  return head.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 9 && byte <= 13))
}

type Magic = readonly (readonly [magic: string, name: string])[]

/** Signatures of about four bytes that identify a format, wherever they occur. */
const FOREIGN: Magic = [
  ['riff', 'Wave64'],
  ['caff', 'Core Audio Format'],
  ['.snd', 'Sun AU'],
  ['wvpk', 'WavPack'],
  ['MAC ', "Monkey's Audio"],
  ['TTA1', 'True Audio'],
  ['DSD ', 'DSD'],
  ['FRM8', 'DSDIFF'],
  ['\x1aE\xdf\xa3', 'Matroska or WebM'],
  ['0&\xb2u', 'Windows Media'],
]

const MAGIC: Magic = [
  ...FOREIGN,
  [
    '\0\x05\x16\x07',
    'AppleDouble, the companion file that macOS leaves beside a file ("._" and its name)',
  ],
  ['\0\x05\x16\0', 'AppleSingle'],
  ['#EXTM3U', 'an HLS or M3U playlist'],
  ['ffconcat', 'an ffconcat script'],
  ['\x0bw', 'AC-3 (Dolby Digital)'],
  ['\x7f\xfe\x80\x01', 'DTS'],
  ['ADIF', 'AAC in ADIF'],
  ['#!AMR', 'AMR (speech)'],
  ['MPCK', 'Musepack'],
  ['MP+', 'Musepack'],
  ['OFR ', 'OptimFROG'],
  ['LA0', 'Lossless Audio'],
  ['TTA2', 'True Audio'],
  ['ajkg', 'Shorten'],
  ['Creative Voice File', 'Creative Voice'],
  ['MThd', 'MIDI (notes, no sound)'],
  ['FLV\x01', 'Flash video'],
  ['.RMF', 'RealMedia'],
  ['\0\0\x01\xba', 'an MPEG programme stream'],
  ['G@', 'an MPEG transport stream'],
  ['\x89PNG', 'a PNG picture'],
  ['\xff\xd8\xff', 'a JPEG picture'],
  ['GIF8', 'a GIF picture'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['\x1f\x8b', 'gzip'],
  ['Rar!\x1a\x07', 'a RAR archive'],
  ['7z\xbc\xaf\x27\x1c', 'a 7-Zip archive'],
  ['\xd0\xcf\x11\xe0\xa1\xb1', 'an Office document'],
  ['version https://git-lfs', 'a pointer of Git LFS in place of the file'],
  ['%PDF', 'PDF'],
  ['<', 'HTML or XML'],
]

const MASTERS: Magic = [['fLaC', 'FLAC'], ['OggS', 'Ogg'], ...FOREIGN]

/** Whether this begins with the eleven set bits of every frame of MPEG audio and ADTS. */
function isMpeg(head: Uint8Array): boolean {
  return head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0
}
