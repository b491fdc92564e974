import ascii from 'any-ascii'

/** What a track is called, as the latest job that said so has it. */
export type TrackNames = Readonly<Partial<Record<'title' | 'artist', string>>>

/** What a master's name may end in (docs/masters.md), without the dot. */
export const AUDIO_EXTENSIONS = [
  ...['wav', 'wave', 'bwf', 'rf64', 'aif', 'aiff', 'aifc', 'flac'],
  ...['mp3', 'm4a', 'mp4', 'aac', 'ogg', 'oga', 'opus'],
] as const

const AUDIO = new RegExp(`\\.(?:${AUDIO_EXTENSIONS.join('|')})$`, 'i')

/** Files and folders that a system leaves beside a person's own, some of them with the name of a master behind `._`. */
export const LEFT_BY_SYSTEM =
  '^(?:\\._.*|\\.DS_Store|\\.AppleDouble|\\.localized|\\.Spotlight-V100|\\.Trashes|\\.fseventsd|__MACOSX|Thumbs\\.db|ehthumbs\\.db|desktop\\.ini|@eaDir)$'

const LEFT = new RegExp(LEFT_BY_SYSTEM, 'i')

/** Whether a file is audio by its name. */
export function isAudio(path: string): boolean {
  return AUDIO.test(path)
}

/** Whether a file, or a folder that it is in, was left by macOS, Windows or a NAS, and by no person. */
export function isLeftBySystem(path: string): boolean {
  return path.split(/[\\/]/).some((name) => LEFT.test(name))
}

/** Of a long name so many characters are looked at. */
const LOOKED_AT = 255
const SLUG_CHARACTERS = 60
/** 48 bits: of ten thousand files of one name two have the same by chance once in five million catalogues. */
const DIGEST_DIGITS = 12

/**
 * The asset_guid of a file that nobody has named: its name in Latin letters, and a part of the sha256 of its content.
 * The same file has the same everywhere; two that only share a name have two.
 * @param file its name, or a path or URI that ends with it
 * @param sha256 64 hexadecimal digits: of the bytes; of a master that nobody has read, of its URI
 */
export function guidOfFile(file: string, sha256: string): string {
  // Composed first: macOS takes letters and their accents apart, and CJK and Hangul are known composed.
  const latin = ascii(baseName(file).slice(0, LOOKED_AT))
  const slug = latin
    .replace(/['`"]/g, '')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, SLUG_CHARACTERS)
    .replace(/-+$/, '')
  return `${slug || 'unnamed'}-${sha256.slice(0, DIGEST_DIGITS)}`
}

/** A file's own name as a job may carry it: without folders and without what can't be printed. */
export function cleanFileName(file: string): string {
  const name = file
    .replace(/^.*[\\/]/s, '')
    .normalize('NFC')
    .replace(UNPRINTABLE, ' ')
    .trim()
  return [...name].slice(0, LOOKED_AT).join('')
}

/** A file's own name, without folders and without an extension of audio. */
function baseName(file: string): string {
  return (
    file
      // What a browser makes of the characters that would end the name in a form.
      .replace(/%22/g, '"')
      .replace(/%0[ad]/gi, ' ')
      .replace(/^.*[\\/]/s, '')
      .replace(AUDIO, '')
      .normalize('NFC')
  )
}

/** What no name has: controls, those of writing direction included, halves of pairs. The joiners of Persian and emoji may be. */
export const UNPRINTABLE =
  /[\p{Cc}\p{Co}\p{Cs}\uFFFD\u00ad\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu

/** What the number of a track, of a disc and a track, looks like in front of a name. */
const NUMBER = '(?:\\d{1,2}-)?\\d{1,3}'
const NUMBERS = [
  // `01. Name`, `1) Name`, `[01] Name`.
  new RegExp(`^${NUMBER}[.)]\\s*(?=[^\\s\\d])`),
  new RegExp(`^[[(]${NUMBER}[\\])]\\s*(?=\\S)`),
  // `01 Name`, `01-name`, `1-01 Name`: without a zero it may be a band's (`50 Cent`).
  /^(?:\d{1,2}-\d{2}|0\d{1,2})[\s-]+(?=[^\s-])/,
  // `12 - Name`, but `112 - Cupid` is a song of 112.
  new RegExp(`^${NUMBER} - (?=.* - )|^\\d{1,2} - `),
]

/**
 * What the name of a file says of the track: `Artist - Title.wav`, or the title alone; the number of a track in front
 * of it, and between artist and title, is left out.
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
