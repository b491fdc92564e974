/**
 * What a file that is no master of ours looks like from its first bytes, for people. Of the bytes themselves nothing is
 * said: what is wrong with two files in the same way is said in the same words.
 */
export function looksLike(head: Uint8Array): string {
  // Not by TextDecoder, whose latin1 is Windows-1252.
  const text = Buffer.from(head).toString('latin1')
  const known = MAGIC.find(([at, magic]) => text.startsWith(magic, at))?.[2]
  if (known) return `looks like ${known}`
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
  return MAGIC.some(([at, magic]) => text.startsWith(magic, at))
}

export function isText(head: Uint8Array): boolean {
  return head.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 9 && byte <= 13))
}

const MAGIC: readonly (readonly [at: number, magic: string, name: string])[] = [
  [0, 'riff', 'Wave64'],
  [0, '#EXTM3U', 'an HLS or M3U playlist'],
  [0, 'ffconcat', 'an ffconcat script'],
  [0, 'caff', 'Core Audio Format'],
  [0, '.snd', 'Sun AU'],
  [0, 'wvpk', 'WavPack'],
  [0, 'MAC ', "Monkey's Audio"],
  [0, 'TTA1', 'True Audio'],
  [0, 'DSD ', 'DSD'],
  [0, 'FRM8', 'DSDIFF'],
  [0, '\x1aE\xdf\xa3', 'Matroska or WebM'],
  [0, '0&\xb2u', 'Windows Media'],
  [0, '\x0bw', 'AC-3 (Dolby Digital)'],
  [0, '\x7f\xfe\x80\x01', 'DTS'],
  [0, 'ADIF', 'AAC in ADIF'],
  [0, '#!AMR', 'AMR (speech)'],
  [0, 'MPCK', 'Musepack'],
  [0, 'MP+', 'Musepack'],
  [0, 'OFR ', 'OptimFROG'],
  [0, 'LA0', 'Lossless Audio'],
  [0, 'TTA2', 'True Audio'],
  [0, 'ajkg', 'Shorten'],
  [0, 'Creative Voice File', 'Creative Voice'],
  [0, 'MThd', 'MIDI (notes, no sound)'],
  [0, 'FLV\x01', 'Flash video'],
  [0, '.RMF', 'RealMedia'],
  [0, '\0\0\x01\xba', 'an MPEG programme stream'],
  [0, 'PK\x03\x04', 'a ZIP archive'],
  [0, '\x1f\x8b', 'gzip'],
  [0, '%PDF', 'PDF'],
  [0, '<', 'HTML or XML'],
]

const MASTERS: readonly (readonly [magic: string, name: string])[] = [
  ['fLaC', 'FLAC'],
  ['OggS', 'Ogg'],
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

/** The eleven set bits that begin every frame of MPEG audio, ADTS included. */
function isMpeg(head: Uint8Array): boolean {
  return head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0
}
