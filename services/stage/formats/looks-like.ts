/**
 * What a file that is no master of ours looks like from its first bytes, for people. Of the bytes themselves nothing is
 * said: what is wrong with two files in the same way is said in the same words.
 */
export function looksLike(head: Uint8Array): string {
  // Not by TextDecoder, whose latin1 is Windows-1252.
  const text = Buffer.from(head).toString('latin1')
  const known = MAGIC.find(([magic]) => text.startsWith(magic))?.[1]
  if (known) return `looks like ${known}`
  if (isUtf16(head)) return 'looks like text'
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

/** What kind of master begins at byte `at`, for people; undefined when there is none that its first bytes tell. */
export function masterAt(bytes: Buffer, at: number): string | undefined {
  const text = bytes.toString('latin1', at, at + 12)
  const [id, type, form] = [text.slice(0, 4), text.slice(4, 8), text.slice(8)]
  if (form === 'WAVE' && /^(RIF[FX]|RF64|BW64)$/.test(id)) return 'WAV'
  if (id === 'FORM' && /^AIF[FC]$/.test(form)) return 'AIFF'
  if (type === 'ftyp') return 'MP4'
  return MASTERS.find(([magic]) => text.startsWith(magic))?.[1]
}

/** Whether a file is of a known kind that is not taken. */
export function isKnown(head: Uint8Array): boolean {
  const text = Buffer.from(head).toString('latin1')
  return MAGIC.some(([magic]) => text.startsWith(magic))
}

/** Text of two bytes a character, whose mark looks like the beginning of a frame of MPEG audio. */
function isUtf16(head: Uint8Array): boolean {
  return (
    head[0] === 0xff &&
    head[1] === 0xfe &&
    isText(head.filter((_, at) => at > 1 && at % 2 === 0))
  )
}

export function isText(head: Uint8Array): boolean {
  return head.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 9 && byte <= 13))
}

type Magic = readonly (readonly [magic: string, name: string])[]

/** What four bytes or so tell of beyond doubt, in the midst of others too. */
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
  ['PK\x03\x04', 'a ZIP archive'],
  ['\x1f\x8b', 'gzip'],
  ['%PDF', 'PDF'],
  ['<', 'HTML or XML'],
]

const MASTERS: Magic = [['fLaC', 'FLAC'], ['OggS', 'Ogg'], ...FOREIGN]

/** The eleven set bits that begin every frame of MPEG audio, ADTS included. */
function isMpeg(head: Uint8Array): boolean {
  return head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0
}
