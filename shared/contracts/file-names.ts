import ascii from 'any-ascii'

/** The names of a track. */
export type TrackNames = Readonly<Partial<Record<'title' | 'artist', string>>>

/** The bytes of a second of 16-bit 44.1 kHz stereo. */
const PCM_RATE = 176_400
const CODED_RATE = 12_000
/**
 * The extensions of masters (docs/reference/masters.md), without the dot, each with the least bytes of a second of audio that a
 * file of this kind usually has.
 */
const MASTER_FILES: Readonly<Record<string, number>> = {
  wav: PCM_RATE,
  wave: PCM_RATE,
  bwf: PCM_RATE,
  rf64: PCM_RATE,
  aif: PCM_RATE,
  aiff: PCM_RATE,
  aifc: PCM_RATE,
  flac: 50_000,
  mp3: CODED_RATE,
  m4a: CODED_RATE,
  mp4: CODED_RATE,
  aac: CODED_RATE,
  ogg: CODED_RATE,
  oga: CODED_RATE,
  opus: CODED_RATE,
}

/** The extensions of masters, without the dot. */
export const AUDIO_EXTENSIONS = Object.keys(MASTER_FILES)

const AUDIO = new RegExp(`\\.(?:${AUDIO_EXTENSIONS.join('|')})$`, 'i')

/** Files and folders that operating systems create beside people's own, some with the name of a master after `._`. */
export const LEFT_BY_SYSTEM =
  '^(?:\\._.*|\\.DS_Store|\\.AppleDouble|\\.localized|\\.Spotlight-V100|\\.Trashes|\\.fseventsd|__MACOSX|Thumbs\\.db|ehthumbs\\.db|desktop\\.ini|@eaDir)$'

const LEFT = new RegExp(LEFT_BY_SYSTEM, 'i')

/** The least bytes of a second of a master, by the extension of its name. A name without one counts as PCM. */
export function masterBytesPerSecond(name: string): number {
  const extension = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  const rate = Object.hasOwn(MASTER_FILES, extension) ? MASTER_FILES[extension] : undefined
  return rate ?? PCM_RATE
}

/** Whether a file is audio, by its extension. */
export function isAudio(path: string): boolean {
  return AUDIO.test(path)
}

/** Whether a file, or a folder that it is in, was created by macOS, Windows or a NAS, and not by a person. */
export function isLeftBySystem(path: string): boolean {
  return path.split(/[\\/]/).some((name) => LEFT.test(name))
}

/** The number of characters of a name that are used. */
const LOOKED_AT = 255
const SLUG_CHARACTERS = 60
/** 48 bits: among 10,000 files of one name, a collision occurs in one of five million catalogues. */
const DIGEST_DIGITS = 12

/**
 * The default asset_guid of a file: its name in Latin letters, and a part of the SHA-256 of its content. The same file
 * has the same guid everywhere; two files that only share a name have different ones.
 * @param file The name of the file, or a path or URI that ends with it.
 * @param sha256 64 hexadecimal digits: the SHA-256 of the bytes or, if the master has not been read, of its URI.
 */
export function guidOfFile(file: string, sha256: string): string {
  // Composed first, because macOS decomposes letters and accents, and CJK and Hangul are recognized in composed form.
  const latin = ascii(baseName(file).slice(0, LOOKED_AT))
  const slug = latin
    .replace(/['`"]/g, '')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, SLUG_CHARACTERS)
    .replace(/-+$/, '')
  return `${slug || 'unnamed'}-${sha256.slice(0, DIGEST_DIGITS)}`
}

/** The name of a file as a job may have it: without folders and without unprintable characters. */
export function cleanFileName(file: string): string {
  const name = file
    .replace(/^.*[\\/]/s, '')
    .normalize('NFC')
    .replace(UNPRINTABLE, ' ')
    .trim()
  return [...name].slice(0, LOOKED_AT).join('')
}

/** The name of a file without folders and without an audio extension. */
function baseName(file: string): string {
  return (
    file
      // Browsers escape the characters that would end the name in a form.
      .replace(/%22/g, '"')
      .replace(/%0[ad]/gi, ' ')
      .replace(/^.*[\\/]/s, '')
      .replace(AUDIO, '')
      .normalize('NFC')
  )
}

/** Characters that names may not have: controls, direction marks, lone surrogates. Joiners are allowed. */
export const UNPRINTABLE =
  /[\p{Cc}\p{Co}\p{Cs}\uFFFD\u00ad\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu

/** The number of a track, or of a disc and a track, in front of a name. */
const NUMBER = '(?:\\d{1,2}-)?\\d{1,3}'
const NUMBERS = [
  // `01. Name`, `1) Name`, `[01] Name`.
  new RegExp(`^${NUMBER}[.)]\\s*(?=[^\\s\\d])`),
  new RegExp(`^[[(]${NUMBER}[\\])]\\s*(?=\\S)`),
  // `01 Name`, `01-name`, `1-01 Name`: without a zero the number may belong to the name of a band (`50 Cent`).
  /^(?:\d{1,2}-\d{2}|0\d{1,2})[\s-]+(?=[^\s-])/,
  // `12 - Name`, but `112 - Cupid` is a song of 112.
  new RegExp(`^${NUMBER} - (?=.* - )|^\\d{1,2} - `),
]

/**
 * The names of a track in the name of its file: `Artist - Title.wav`, or the title alone. A track number in front, or
 * between artist and title, is left out.
 */
export function namesInFile(file: string): TrackNames {
  let name = baseName(file).slice(0, LOOKED_AT)
  if (!name.includes(' ')) name = name.replaceAll('_', ' ')
  name = name
    .replace(UNPRINTABLE, ' ')
    .replace(/\s+[–—]\s+/g, ' - ')
    .replace(/\s+/g, ' ')
    .trim()
  for (const number of NUMBERS) {
    const rest = name.replace(number, '')
    if (rest === name) continue
    name = rest
    break
  }
  const [artist = '', ...rest] = name.split(' - ').map((part) => part.trim())
  const numbered = rest.findIndex((part) => /^\d{1,3}$/.test(part))
  const title = rest.slice(numbered < rest.length - 1 ? numbered + 1 : 0).join(' - ')
  if (title === '') return artist === '' ? {} : { title: artist }
  return { ...(artist === '' ? {} : { artist }), title }
}
