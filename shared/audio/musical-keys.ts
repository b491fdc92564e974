/** The names of the twelve pitch classes from C, in the spelling of the keys that begin on them. */
const MAJOR = ['C', 'Db', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'] as const
const MINOR = ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'G#', 'A', 'Bb', 'B'] as const

const NATURALS: Readonly<Record<string, number>> = {
  C: 0,
  D: 2,
  E: 4,
  F: 5,
  G: 7,
  A: 9,
  B: 11,
}

export type Scale = 'major' | 'minor'

/** A key in the notations that musicians and DJs use. */
interface KeyName {
  readonly tonic: string
  readonly scale: Scale
  /** The name, e.g. `Eb minor`. */
  readonly key: string
  /** Camelot notation, e.g. `2A`. */
  readonly camelot: string
  /** Open Key notation, e.g. `7m`. */
  readonly openKey: string
}

/**
 * Names a key. Of two enharmonic spellings it takes the one with fewer accidentals in its signature (C# minor has four,
 * Db minor would have eight). Where both have six it takes F# major and Eb minor, as DJ software does.
 * @param pitchClass 0 for C to 11 for B.
 */
export function keyName(pitchClass: number, scale: Scale): KeyName {
  const tonic = (scale === 'major' ? MAJOR : MINOR)[pitchClass]
  if (tonic === undefined) throw new RangeError(`${pitchClass} is no pitch class`)
  // Both notations go in fifths; a minor key has the number of its relative major.
  const relative = scale === 'major' ? pitchClass : (pitchClass + 3) % 12
  const fifths = (relative * 7) % 12
  return {
    tonic,
    scale,
    key: `${tonic} ${scale}`,
    camelot: `${((fifths + 7) % 12) + 1}${scale === 'major' ? 'B' : 'A'}`,
    openKey: `${fifths + 1}${scale === 'major' ? 'd' : 'm'}`,
  }
}

/**
 * The pitch class of a note, 0 for C to 11 for B.
 * @param note A letter and any number of `#` or `b`, e.g. `Eb`. Throws RangeError at anything else.
 */
export function pitchClassOf(note: string): number {
  const natural = NATURALS[note.charAt(0)]
  if (natural === undefined || !/^[A-G](#*|b*)$/.test(note)) {
    throw new RangeError(`${note} is no note`)
  }
  const accidentals = note.length - 1
  return (natural + (note.endsWith('b') ? 12 - accidentals : accidentals) + 12) % 12
}

const CAMELOT = /^(1[0-2]|[1-9])([ab])$/i
const OPEN_KEY = /^(1[0-2]|[1-9])([md])$/i
const WRITTEN = /^([a-g](?:#|b|♯|♭)?)[\s-]*(m|min|minor|maj|major)?$/i

/**
 * Parses a key in any notation: `A minor`, `Am`, `8A`, `1m`. Undefined if it is none.
 */
export function keyMeant(text: string): KeyName | undefined {
  const given = text.trim()
  const camelot = CAMELOT.exec(given)
  if (camelot?.[1] && camelot[2]) {
    return keyAt(Number(camelot[1]), camelot[2].toUpperCase() === 'B' ? 'major' : 'minor')
  }
  const open = OPEN_KEY.exec(given)
  if (open?.[1] && open[2]) {
    const number = ((Number(open[1]) + 6) % 12) + 1
    return keyAt(number, open[2].toLowerCase() === 'd' ? 'major' : 'minor')
  }
  const written = WRITTEN.exec(given)
  if (!written?.[1]) return undefined
  const accidental = written[1].slice(1).replace('♯', '#').replace('♭', 'b').toLowerCase()
  const scale = written[2] ?? ''
  // Some write `M` alone for major.
  const isMinor = scale === 'm' || /^min/i.test(scale)
  const note = written[1].charAt(0).toUpperCase() + accidental
  return keyName(pitchClassOf(note), isMinor ? 'minor' : 'major')
}

/** The keys that mix well with a key: itself and its neighbours on the Camelot wheel, in Camelot notation. */
export function harmonicWith({ camelot }: Pick<KeyName, 'camelot'>): readonly string[] {
  const number = Number.parseInt(camelot, 10)
  const letter = camelot.slice(-1)
  const step = (by: number) => `${((number + by + 11) % 12) + 1}${letter}`
  return [camelot, `${number}${letter === 'A' ? 'B' : 'A'}`, step(1), step(-1)]
}

/** The key at a position of the Camelot wheel, 1 to 12. */
function keyAt(number: number, scale: Scale): KeyName {
  // Seven fifths up are one semitone up, and seven semitones up are one fifth up.
  const relative = (((number + 4) % 12) * 7) % 12
  return keyName(scale === 'major' ? relative : (relative + 9) % 12, scale)
}
